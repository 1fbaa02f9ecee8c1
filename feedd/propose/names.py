"""What shops call the fields of an item, in the languages of many shops. Pure.

To add a name: one word in its row, in lower case, without spaces, accents and punctuation.
"""

import re
import unicodedata
from functools import lru_cache

EXACT, INSIDE = 3.0, 1.5

# In the order in which fields are given their places: what identifies first.
NAMES: dict[str, tuple[str, ...]] = {
    "id": (
        "id", "productid", "itemid", "offerid", "articleid", "variantid", "sku", "productsku", "skuid", "itemcode",
        "productcode", "articlecode", "articlenumber", "itemnumber", "itemno", "productnumber", "productno", "code",
        "ref", "reference", "artikelnummer", "artnr", "artno", "artikelnr", "bestellnummer", "produktnummer", "codigo",
        "referencia", "codice", "handle", "slug", "uuid", "guid", "asin", "key", "identifier", "stockcode", "partnumber",
        "uid", "pid", "nr",
    ),
    "title": (
        "title", "name", "productname", "itemname", "producttitle", "articlename", "displayname", "headline", "label",
        "titel", "produktname", "bezeichnung", "artikelname", "nom", "titre", "nombre", "titulo", "nome", "titolo",
        "naam", "productnaam", "nazwa", "tytul", "navn", "namn", "nazev", "nimi", "fullname", "shorttitle",
    ),
    "price": (
        "price", "regularprice", "listprice", "retailprice", "unitprice", "rrp", "msrp", "currentprice", "finalprice",
        "sellingprice", "preis", "verkaufspreis", "bruttopreis", "prix", "prixttc", "precio", "preco", "prezzo", "prijs",
        "cena", "pris", "hinta", "amount", "pricegross", "grossprice", "priceinclvat", "priceincvat", "pricewithvat",
        "priceamount", "cost",
    ),
    "sale_price": (
        "saleprice", "specialprice", "discountprice", "discountedprice", "promoprice", "offerprice", "dealprice",
        "reducedprice", "salesprice", "angebotspreis", "sonderpreis", "aktionspreis", "prixpromo", "prixsolde",
        "preciooferta", "prezzoscontato", "precopromocional", "actieprijs",
    ),
    "currency": (
        "currency", "currencycode", "currencyid", "pricecurrency", "waehrung", "wahrung", "devise", "moneda", "valuta",
        "moeda", "waluta", "mena",
    ),
    "link": (
        "link", "url", "producturl", "itemurl", "pageurl", "deeplink", "deeplinkurl", "permalink", "href", "weburl",
        "landingpage", "canonicalurl", "productlink", "detailurl", "adresse", "lien", "enlace", "website", "webpage",
    ),
    "image_link": (
        "image", "images", "imageurl", "imagelink", "imagesrc", "imageurls", "img", "imgurl", "imglink", "picture",
        "pictureurl", "pictures", "photo", "photos", "photourl", "thumbnail", "thumbnailurl", "thumb", "mainimage",
        "mainimageurl", "primaryimage", "featuredimage", "coverimage", "cover", "bild", "bildurl", "bildlink", "bilder",
        "urlimage", "imagen", "imagem", "immagine", "afbeelding", "obrazek", "zdjecie", "media", "gallery", "poster",
    ),
    "additional_image_links": (
        "additionalimages", "additionalimagelinks", "additionalimagelink", "otherimages", "moreimages", "extraimages",
        "galleryimages", "gallery", "altimages", "images", "photos", "pictures", "bilder", "imagegallery",
    ),
    "description": (
        "description", "desc", "longdescription", "fulldescription", "productdescription", "descriptionhtml", "bodyhtml",
        "body", "text", "content", "details", "summary", "shortdescription", "shortdesc", "beschreibung",
        "langbeschreibung", "kurzbeschreibung", "produktbeschreibung", "descripcion", "descricao", "descrizione",
        "omschrijving", "opis", "beskrivelse", "beskrivning", "popis", "about", "overview",
    ),
    "availability": (
        "availability", "available", "instock", "isinstock", "stockstatus", "stockavailability", "inventorystatus",
        "availabilitystatus", "isavailable", "inventory", "verfuegbarkeit", "verfugbarkeit", "lieferbar", "auflager",
        "disponibilite", "disponible", "disponibilidad", "disponibilidade", "disponibilita", "beschikbaarheid",
        "dostepnosc", "status", "soldout", "outofstock",
    ),
    "inventory_quantity": (
        "inventoryquantity", "quantity", "qty", "stock", "stockquantity", "stockqty", "stocklevel", "stockcount",
        "inventory", "inventorylevel", "availablequantity", "quantityavailable", "onhand", "bestand", "lagerbestand",
        "menge", "quantite", "cantidad", "quantidade", "quantita", "voorraad", "ilosc", "existencias", "inventorycount",
    ),
    "categories": (
        "categories", "category", "categorypath", "categoryname", "categorytitle", "productcategory", "producttype",
        "kategorie", "kategorien", "warengruppe", "rubrik", "categorie", "categoria", "kategoria", "kategori",
        "collection", "collections", "department", "breadcrumb", "breadcrumbs", "section", "group", "productgroup",
        "taxonomy", "type", "genre", "cat",
    ),
    "brand": (
        "brand", "brandname", "manufacturer", "manufacturername", "vendor", "maker", "producer", "marke", "hersteller",
        "marque", "fabricant", "marca", "fabricante", "merk", "producent", "marka", "publisher", "label", "designer",
    ),
    "gtin": (
        "gtin", "ean", "ean13", "upc", "barcode", "isbn", "isbn13", "gtin13", "gtin12", "gtin14", "gtin8", "jan", "eancode", "strichcode", "codebarres",
    ),
    "mpn": (
        "mpn", "manufacturerpartnumber", "manufacturersku", "partnumber", "modelnumber", "model", "vendorcode",
        "herstellernummer", "mfrpartnumber", "manufacturercode", "modelno",
    ),
    "condition": ("condition", "itemcondition", "productcondition", "zustand", "etat", "estado", "condizione", "stan"),
    "color": ("color", "colour", "colorname", "farbe", "couleur", "cor", "colore", "kleur", "kolor", "farve", "farg"),
    "size": ("size", "sizename", "groesse", "grosse", "taille", "talla", "tamanho", "taglia", "maat", "rozmiar"),
    "item_group_id": (
        "itemgroupid", "groupid", "parentid", "parentsku", "productgroupid", "masterid", "styleid", "parentproductid",
        "modelid", "stylecode", "familyid",
    ),
    "published_at": (
        "publishedat", "published", "publishdate", "publicationdate", "releasedate", "createdat", "created",
        "datecreated", "dateadded", "availablefrom", "launchdate", "pubdate", "firstseen", "date", "erstelltam", "datum",
    ),
}  # fmt: skip

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_a-zA-Z]+")


@lru_cache(maxsize=4096)
def words_of(name: str) -> tuple[str, ...]:
    """The words of a key in lower case and without accents: `mainImage_URL` is main, image, url."""
    name = name.rpartition(":")[2].lstrip("@#$")
    folded = unicodedata.normalize("NFKD", name.replace("ß", "ss"))
    bare = "".join(char for char in folded if not unicodedata.combining(char))
    return tuple(word.lower() for word in _WORDS.findall(bare))


def likeness(field: str, path: tuple[str, ...]) -> float:
    """How much a path sounds like a field: 3 by its own name, less with more words or deeper down, 0 not at all."""
    steps = [words_of(step) for step in path if step != "*" and not step.isdecimal()]
    if not steps:
        return 0.0
    names = NAMES[field]
    depth = 0.25 * (len(steps) - 1)
    last = "".join(steps[-1])
    whole = "".join(word for step in steps[-2:] for word in step)
    if last in names or (len(steps) > 1 and whole in names):
        rank = names.index(last if last in names else whole) / len(names)
        return EXACT - rank - depth
    if len(steps) > 1 and last in _PLAIN_ENDS and "".join(steps[-2]) in names:
        return EXACT - 0.5 - depth
    found = [word for word in steps[-1] if word in names and len(word) > 2]
    return INSIDE * len("".join(found)) / len(last) - depth if found else 0.0


# what stands below a field as its value, and says nothing by itself
_PLAIN_ENDS = frozenset({"value", "text", "name", "amount", "src", "url", "href", "title", "link", "path"})  # fmt: skip

"""What shops call the fields of an item, in the languages of many shops. Pure.

To add a name: one word in its row, in lower case, without spaces and punctuation. What never is the field
although it sounds like it stands in `NOT_IN`.
"""

import re
import unicodedata
from functools import lru_cache

EXACT, ENDING, INSIDE = 3.0, 1.8, 1.5

# In the order in which fields are given their places: what identifies first.
NAMES: dict[str, tuple[str, ...]] = {
    "id": (
        "id", "productid", "itemid", "offerid", "articleid", "variantid", "sku", "productsku", "skuid", "itemcode",
        "productcode", "articlecode", "articlenumber", "itemnumber", "itemno", "productnumber", "productno", "code",
        "ref", "reference", "artikelnummer", "artnr", "artno", "artikelnr", "bestellnummer", "produktnummer", "codigo",
        "referencia", "codice", "handle", "slug", "uuid", "guid", "asin", "key", "identifier", "stockcode", "partnumber",
        "uid", "pid", "nr", "ident", "uniqueid", "pk", "objectid", "vehicleid", "propertyid", "jobid", "referencenumber",
        "kod", "kodproduktu", "kodtowaru", "indeks", "symbol", "kodi", "tuotenumero", "varenummer",
        "ид", "идентификатор", "айди", "артикул", "код", "кодтовара", "κωδικος", "商品编号", "商品id", "编号", "货号", "商品番号", "商品コード",
        "상품번호", "상품코드", "urunkodu", "urunid", "stokkodu",
    ),
    "title": (
        "title", "name", "productname", "itemname", "producttitle", "articlename", "displayname", "headline", "label",
        "titel", "produktname", "bezeichnung", "artikelname", "nom", "titre", "nombre", "titulo", "nome", "titolo",
        "naam", "productnaam", "nazwa", "tytul", "navn", "namn", "nazev", "nimi", "fullname", "shorttitle",
        "produktnamn", "produktnavn", "varenavn", "tuotenimi", "nazwaproduktu", "nazevproduktu", "nev", "denumire", "nume", "ad",
        "urunadi", "baslik", "itemtitle", "jobtitle", "eventname", "objekttitel", "listingtitle", "product", "nm",
        "наименование", "название", "имя", "назва", "товар", "заголовок", "ονομα", "τιτλος", "ονομασια", "商品名称", "名称", "标题", "品名", "商品名",
        "タイトル", "名前", "상품명", "제품명", "이름",
    ),
    "price": (
        "price", "regularprice", "listprice", "retailprice", "unitprice", "rrp", "msrp", "currentprice", "finalprice",
        "sellingprice", "preis", "verkaufspreis", "bruttopreis", "prix", "prixttc", "precio", "preco", "prezzo", "prijs",
        "cena", "pris", "hinta", "amount", "pricegross", "grossprice", "priceinclvat", "priceincvat", "pricewithvat",
        "priceamount", "pricevat", "searchprice", "storeprice", "buynow", "displayprice", "productprice", "itemprice",
        "brutto", "cenabrutto", "cenasdph", "kaufpreis", "kaltmiete", "precioventa", "precofinal", "prezzofinale", "fiyat",
        "satisfiyati", "pret", "ar", "kaina", "цена", "ціна", "стоимость", "τιμη", "价格", "售价", "单价", "価格", "販売価格", "가격", "판매가",
    ),
    "sale_price": (
        "saleprice", "specialprice", "discountprice", "discountedprice", "promoprice", "offerprice", "dealprice",
        "reducedprice", "salesprice", "angebotspreis", "sonderpreis", "aktionspreis", "prixpromo", "prixsolde",
        "preciooferta", "prezzoscontato", "precopromocional", "actieprijs",
        "cenapromocyjna", "akcnicena", "indirimlifiyat", "promotionalprice", "ценасоскидкой", "акционнаяцена", "促销价", "特价",
    ),
    "currency": (
        "currency", "currencycode", "currencyid", "pricecurrency", "waehrung", "wahrung", "devise", "moneda", "valuta",
        "moeda", "waluta", "mena", "curr", "valuuttakoodi", "parabirimi", "валюта", "νομισμα", "货币", "币种", "通貨",
    ),
    "link": (
        "link", "url", "producturl", "itemurl", "pageurl", "deeplink", "deeplinkurl", "permalink", "href", "weburl",
        "landingpage", "canonicalurl", "productlink", "detailurl", "adresse", "lien", "enlace", "website", "webpage",
        "itemweburl", "infolink", "detailpageurl", "merchantdeeplink", "awdeeplink", "mlink", "onlinestoreurl", "loc", "linkurl",
        "produktlink", "produktlank", "produkturl", "lank", "odkaz", "adres", "linkdoproduktu", "urunlinki",
        "ссылка", "адрес", "посилання", "συνδεσμος", "链接", "商品链接", "リンク", "링크",
    ),
    "image_link": (
        "image", "images", "imageurl", "imagelink", "imagesrc", "imageurls", "img", "imgurl", "imglink", "picture",
        "pictureurl", "pictures", "photo", "photos", "photourl", "thumbnail", "thumbnailurl", "thumb", "mainimage",
        "mainimageurl", "primaryimage", "featuredimage", "coverimage", "cover", "bild", "bildurl", "bildlink", "bilder",
        "urlimage", "imagen", "imagem", "immagine", "afbeelding", "obrazek", "zdjecie", "media", "gallery", "poster",
        "merchantimageurl", "mimage", "awimageurl", "bildlank", "kuva", "billede", "bilde", "kep", "obrazok", "fotografie", "foto",
        "imagine", "resim", "gorsel", "картинка", "изображение", "фото", "зображення", "εικονα", "φωτογραφια", "图片", "主图", "商品图片",
        "画像", "画像url", "이미지",
    ),
    "additional_image_links": (
        "additionalimages", "additionalimagelinks", "additionalimagelink", "otherimages", "moreimages", "extraimages",
        "galleryimages", "gallery", "altimages", "images", "photos", "pictures", "bilder", "imagegallery",
        "additionalimage", "imgurlalternative", "alternateimages", "additionalimageurl", "additionalimageurls",
    ),
    "description": (
        "description", "desc", "longdescription", "fulldescription", "productdescription", "descriptionhtml", "bodyhtml",
        "body", "text", "content", "details", "summary", "shortdescription", "shortdesc", "beschreibung",
        "langbeschreibung", "kurzbeschreibung", "produktbeschreibung", "descripcion", "descricao", "descrizione",
        "omschrijving", "opis", "beskrivelse", "beskrivning", "popis", "about", "overview",
        "leiras", "descriere", "aciklama", "kuvaus", "objektbeschreibung", "contenthtml", "описание", "опис", "περιγραφη", "描述",
        "商品描述", "详情", "说明", "商品説明", "説明", "설명", "상품설명",
    ),
    "availability": (
        "availability", "available", "instock", "isinstock", "stockstatus", "stockavailability", "inventorystatus",
        "availabilitystatus", "isavailable", "inventory", "verfuegbarkeit", "verfugbarkeit", "lieferbar", "auflager",
        "disponibilite", "disponible", "disponibilidad", "disponibilidade", "disponibilita", "beschikbaarheid",
        "dostepnosc", "status",
        "lagerstatus", "dostupnost", "dostepny", "onlineavailability", "stokdurumu", "наличие", "вналичии", "доступность", "наявність",
        "διαθεσιμοτητα", "库存状态", "在庫状況",
    ),
    "inventory_quantity": (
        "inventoryquantity", "quantity", "qty", "stock", "stockquantity", "stockqty", "stocklevel", "stockcount",
        "inventory", "inventorylevel", "availablequantity", "quantityavailable", "onhand", "bestand", "lagerbestand",
        "menge", "quantite", "cantidad", "quantidade", "quantita", "voorraad", "ilosc", "existencias", "inventorycount",
        "stockamount", "stockavailable", "stockquant", "amountinstock", "sklad", "lager", "lagersaldo", "antal", "stan", "stok",
        "stokadedi", "количество", "остаток", "остатки", "кількість", "ποσοτητα", "αποθεμα", "库存", "数量", "在庫数", "在庫", "재고",
    ),
    "categories": (
        "categories", "category", "categorypath", "categoryname", "categorytitle", "productcategory", "producttype",
        "kategorie", "kategorien", "warengruppe", "rubrik", "categorie", "categoria", "kategoria", "kategori",
        "collection", "collections", "department", "breadcrumb", "breadcrumbs", "section", "group", "productgroup",
        "taxonomy", "type", "genre", "cat",
        "categorytext", "merchantcategory", "mcat", "kategorija", "osasto", "varugrupp", "varegruppe", "rubrique",
        "категория", "категории", "раздел", "рубрика", "категорія", "κατηγορια", "分类", "类别", "类目", "商品分类", "カテゴリ", "カテゴリー",
        "카테고리",
    ),
    "brand": (
        "brand", "brandname", "manufacturer", "manufacturername", "vendor", "maker", "producer", "marke", "hersteller",
        "marque", "fabricant", "marca", "fabricante", "merk", "producent", "marka", "publisher", "designer",
        "brands", "brandtitle", "vyrobce", "vyrobca", "tillverkare", "varumarke", "valmistaja", "gyarto", "producator",
        "markaadi", "uretici", "производитель", "бренд", "марка", "изготовитель", "виробник", "κατασκευαστης", "μαρκα", "品牌", "厂商", "ブランド",
        "メーカー", "브랜드", "제조사",
    ),
    "gtin": (
        "gtin", "ean", "ean13", "upc", "barcode", "isbn", "isbn13", "gtin13", "gtin12", "gtin14", "gtin8", "jan", "eancode", "strichcode", "codebarres",
        "eans", "gtins", "eannummer", "gtinean", "barkod", "kodkreskowy", "carovykod", "штрихкод", "штрихкоды", "条码", "条形码", "バーコード",
        "바코드",
    ),
    "mpn": (
        "mpn", "manufacturerpartnumber", "manufacturersku", "partnumber", "modelnumber", "model", "vendorcode",
        "herstellernummer", "mfrpartnumber", "manufacturercode", "modelno", "productno", "partno", "hans",
    ),
    "condition": ("condition", "itemcondition", "productcondition", "zustand", "etat", "estado", "condizione", "stan"),
    "color": ("color", "colour", "colorname", "farbe", "couleur", "cor", "colore", "kleur", "kolor", "farve", "farg", "barva", "renk", "цвет", "колір", "χρωμα", "颜色", "色", "색상"),
    "size": ("size", "sizename", "groesse", "grosse", "taille", "talla", "tamanho", "taglia", "maat", "rozmiar", "velikost", "storlek", "storrelse", "beden", "размер", "розмір", "μεγεθος", "尺码", "尺寸", "サイズ", "사이즈"),
    "item_group_id": (
        "itemgroupid", "groupid", "parentid", "parentsku", "productgroupid", "masterid", "styleid", "parentproductid",
        "modelid", "stylecode", "familyid",
    ),
    "published_at": (
        "publishedat", "published", "publishdate", "publicationdate", "releasedate", "createdat", "created",
        "datecreated", "dateadded", "availablefrom", "launchdate", "pubdate", "firstseen", "date", "erstelltam", "datum",
        "datepublished", "publisheddate", "startdate", "startdatetime", "dataadd", "datawydania", "creationat", "дата", "датапубликации",
        "ημερομηνια", "日期", "发布时间", "公開日",
    ),
}  # fmt: skip

# words that say of a key or of what stands around it that it is something else
NOT_IN: dict[str, frozenset[str]] = {
    "id": frozenset(
        ("price", "amt", "amount", "total", "sum", "age", "year", "stock", "quantity", "qty", "count", "position", "index", "rank", "group", "parent", "category", "type",
         "status", "condition", "date", "feed", "postal", "zip", "country", "currency", "language")
    ),
    "title": frozenset(("meta", "seo", "label", "category", "collection", "sub", "subtitle", "site", "shop", "company", "locale")),
    "price": frozenset(
        ("cents", "cent", "minor", "pence", "old", "was", "cost", "costs", "shipping", "delivery", "tax", "vat", "rate",
         "per", "range", "count", "percent", "percentage", "discount", "deposit", "wholesale", "purchase", "net", "netto",
         "base", "unit", "cpc", "min", "max", "suffix", "prefix", "label", "id", "group", "type")
    ),
    "sale_price": frozenset(
        ("cents", "cent", "minor", "date", "start", "end", "from", "to", "until", "percent", "percentage", "shipping", "per", "min", "max")
    ),
    "link": frozenset(("image", "img", "picture", "photo", "thumbnail", "thumb", "video", "api", "self", "basket", "cart", "logo", "add",
                       "endpoint", "enclosure", "review", "reviews", "qr", "video", "bild", "resource")),
    "image_link": frozenset(("logo", "icon", "video", "alt", "title", "id", "width", "height", "count", "avatar", "badge", "flag", "source")),
    "description": frozenset(("delivery", "shipping", "return", "warranty", "meta", "seo", "payment", "stock", "price", "type", "format")),
    "availability": frozenset(("date", "from", "until", "count", "sizes", "locations", "published", "order", "soldout")),
    "inventory_quantity": frozenset(("status", "minimum", "min", "max", "maximum", "order", "reserved", "date", "policy", "price", "management", "unit")),
    "categories": frozenset(("id", "ids", "code", "slug", "url", "link", "image", "count", "@type", "item")),
    "brand": frozenset(("id", "ids", "url", "link", "logo", "image", "img", "number", "code", "slug", "country", "sku")),
    "gtin": frozenset(("type",)),
    "mpn": frozenset(("year", "id", "url", "name")),
    "color": frozenset(("id", "code", "hex", "count", "image", "url", "ids")),
    "size": frozenset(("id", "page", "file", "unit", "chart", "count", "system", "type", "ids", "body", "body_style")),
    "currency": frozenset(("rate", "rates", "symbol", "id_rate")),
    "published_at": frozenset(("expire", "expires", "expiration", "expiry", "end", "until", "updated", "modified", "delivery", "to")),
    "condition": frozenset(("id", "code")),
    "item_group_id": frozenset(("name", "title")),
}  # fmt: skip

# what stands below one of these belongs to it, not to the item
_OTHERS = frozenset(
    {"author", "authors", "seller", "sellers", "user", "users", "owner", "shop", "store", "merchant", "company", "agency",
     "contact", "review", "reviews", "rating", "ratings", "shipping", "delivery", "option", "options", "tag", "tags",
     "relationships", "address", "anbieter", "seo"}
)  # fmt: skip
_PARTS = {
    "brand": frozenset(
        {"brand", "manufacturer", "vendor", "publisher", "изготовитель", "производитель"}
    ),
    "categories": frozenset({"category", "categories", "cat", "collection", "collections"}),
}

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_a-zA-Z]+")


@lru_cache(maxsize=4096)
def words_of(name: str) -> tuple[str, ...]:
    """The words of a key in lower case and without accents: `mainImage_URL` is main, image, url."""
    name = name.rpartition(":")[2].lstrip("@#$")
    folded = unicodedata.normalize("NFKD", name.replace("ß", "ss").replace("ı", "i"))
    bare = "".join(char for char in folded if not unicodedata.combining(char))
    return tuple(_whole(word.lower()) for word in _WORDS.findall(bare))


def _whole(word: str) -> str:
    """A word as a final sigma does not change it."""
    return word.replace("ς", "σ")


def likeness(field: str, path: tuple[str, ...]) -> float:
    """How much a path sounds like a field: 3 by its own name, less with more words or deeper down, 0 not at all.

    `merchant_image_url` ends like an image, `price_eur` has the word for a price in it.
    """
    steps = [words_of(step) for step in path if step not in _SILENT and not step.isdecimal()]
    if not steps or _belongs_elsewhere(field, steps):
        return 0.0
    names = _NAMES[field]
    depth = 0.25 * (len(steps) - 1)
    last = "".join(steps[-1])
    whole = "".join(word for step in steps[-2:] for word in step)
    if last in names or (len(steps) > 1 and whole in names):
        rank = names[last if last in names else whole] / len(names)
        return EXACT - rank - depth
    if len(steps) > 1 and last in _PLAIN_ENDS and "".join(steps[-2]) in names:
        return EXACT - 0.5 - depth
    if not NOT_IN.get(field, frozenset()).isdisjoint(steps[-1]):
        return 0.0
    if any("".join(steps[-1][start:]) in names for start in range(1, len(steps[-1]) - 1)):
        return ENDING - depth
    found = [word for word in steps[-1] if word in names and len(word) > 2 and word not in _VAGUE]
    return max(INSIDE * len("".join(found)) / len(last) - depth, 0.05) if found else 0.0


def is_other(field: str, path: tuple[str, ...]) -> bool:
    """Whether the words of a path say that it is something else than the field."""
    steps = [words_of(step) for step in path if step not in _SILENT and not step.isdecimal()]
    if not steps or _belongs_elsewhere(field, steps):
        return True
    return "".join(steps[-1]) not in _NAMES[field] and not NOT_IN.get(
        field, frozenset()
    ).isdisjoint(steps[-1])


def _belongs_elsewhere(field: str, steps: list[tuple[str, ...]]) -> bool:
    """Whether something around the last key says that it is of something else than the item."""
    around = {word for step in steps[:-1] for word in step}
    if not _OTHERS.isdisjoint(around):
        return True
    return any(part != field and not words.isdisjoint(around) for part, words in _PARTS.items())


# what stands below a field as its value, and says nothing by itself
_PLAIN_ENDS = frozenset(
    {"value", "text", "name", "amount", "src", "url", "href", "title", "link", "path", "rendered", "language", "displayvalue",
     "buynow", "main", "uri", "html"}
)  # fmt: skip
# a key that has one of these among other words is not named like a field
_VAGUE = frozenset(
    {
        "type",
        "group",
        "label",
        "text",
        "section",
        "details",
        "body",
        "content",
        "key",
        "about",
        "product",
    }
)
_SILENT = frozenset({"*", "#text"})
_NAMES = {
    field: {"".join(words_of(name)): rank for rank, name in reversed(list(enumerate(names)))}
    for field, names in NAMES.items()
}

"""Which currency a code, a symbol or a word stands for. Pure.

Codes: ISO 4217. Symbols and words: as shops write them; one that several currencies share names none.
"""

_ACTIVE = """
    AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP
    BYN BZD CAD CDF CHF CLF CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP
    GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS
    KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR
    MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF
    SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD
    TZS UAH UGX USD UYU UZS VED VES VND VUV WST XAF XCD XCG XOF XPF YER ZAR ZMW ZWG"""
_WITHOUT_DECIMALS = """
    BIF CLP COP DJF GNF HUF IDR IRR ISK JPY KMF KRW LAK PYG RWF UGX VND VUV XAF XOF XPF"""

ISO_CODES = frozenset(_ACTIVE.split())
# In practice, which for some is not what the standard says.
NO_DECIMALS = frozenset(_WITHOUT_DECIMALS.split())
THREE_DECIMALS = frozenset(["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"])

_WORDS = {
    "AED": "د.إ درهم إماراتي",
    "AUD": "a$ au$",
    "AZN": "₼",
    "BDT": "৳",
    "BGN": "лв",
    "BRL": "r$",
    "CAD": "c$ ca$ cdn$",
    "CHF": "sfr fr",
    "CRC": "₡",
    "CZK": "kč kc",
    "EGP": "ج.م جنيه e£ l.e le",
    "EUR": "€ euro euros",
    "GBP": "£ uk£",
    "GEL": "₾",
    "GHS": "₵ gh₵",
    "HKD": "hk$",
    "HUF": "ft",
    "IDR": "rp",
    "ILS": '₪ nis ש"ח ש״ח שח',
    "INR": "₹",
    "JOD": "د.أ د.ا",
    "JPY": "円",
    "KES": "ksh kshs ksh/=",
    "KHR": "៛",
    "KRW": "₩ 원",
    "KWD": "د.ك",
    "KZT": "₸ тг",
    "LAK": "₭",
    "MAD": "د.م",
    "MNT": "₮",
    "MXN": "mx$ mex$",
    "MYR": "rm",
    "NGN": "₦",
    "NZD": "nz$",
    "OMR": "ر.ع",
    "PEN": "s/ s/.",
    "PHP": "₱",
    "PLN": "zł zl złotych",
    "PYG": "₲",
    "QAR": "ر.ق",
    "RON": "lei",
    "RUB": "₽ rur руб р рублей",
    "SAR": "ر.س",
    "SGD": "s$ sg$",
    "THB": "฿",
    "TND": "د.ت",
    "TRY": "₺ tl",
    "TWD": "nt$ ntd",
    "UAH": "₴ грн",
    "USD": "us$ usd$ u$s",
    "VND": "₫ đ",
    "ZAR": "r",
}
_CODE_OF_WORD = {word: code for code, words in _WORDS.items() for word in words.split()}
_AMBIGUOUS = frozenset(
    ["$", "¥", "￥", "元", "kr", "rs", "₨", "dh", "dhs", "﷼", "ريال", "ر", "bs", "dinar", "din"]
)


def currency_of(word: str) -> str | None:
    """The ISO 4217 code for one code, symbol or word; `""` where several share it, None where none has it."""
    upper = word.upper()
    if upper in ISO_CODES:
        return upper
    lower = "".join(word.lower().split())
    for spelling in (lower, lower.rstrip(".")):
        if spelling in _CODE_OF_WORD:
            return _CODE_OF_WORD[spelling]
        if spelling in _AMBIGUOUS:
            return ""
    return None

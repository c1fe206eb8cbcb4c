"""Writes the bundled words of ImageNet's classes: each class, and the WordNet categories that it belongs to.

    python -m imgcluster_training.export.class_words SYNSETS DATA_NOUN FILE

SYNSETS lists the classes in order, one WordNet 3.0 number per line (``timm/data/_info/imagenet_synsets.txt`` of the
package timm), and DATA_NOUN is the noun file of WordNet 3.0 (``/usr/share/wordnet/data.noun`` of Debian's package
wordnet-base).
"""

from __future__ import annotations

import sys
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from imgcluster.fileio.atomic import write_text

__all__ = ["class_words", "read_nouns"]

_HEADER: Final = """\
# The 1,000 classes of ImageNet in order, then categories of WordNet 3.0 that contain some of them.
# Columns: word, WordNet number, kinds (hyponyms in WordNet), categories (rows of this table, from 0).
# Written by imgcluster_training.export.class_words; see NOTICE for the license of WordNet.
"""

CATEGORIES: Final = """
15388 animal; 1861778 mammal; 1503061 bird; 2512053 fish; 2159955 insect; 1661091 reptile; 1627424 amphibian;
1726692 snake; 1674464 lizard; 1662784 turtle; 1696633 crocodile; 1699831 dinosaur; 1639765 frog; 1629276 salamander;
1772222 spider; 1974773 crustacean; 1976957 crab; 1982650 lobster; 1940736 mollusk; 1922303 worm; 1915811 coral;
2274259 butterfly; 2164464 beetle; 1482330 shark; 1495701 ray; 2062744 whale; 2068974 dolphin; 2076196 seal;
2062017 aquatic mammal; 1844917 aquatic bird; 2021795 seabird; 1846331 duck; 1858441 swan; 2055803 penguin;
2008041 heron; 1604330 bird of prey; 1613294 eagle; 1621127 owl; 1816887 parrot; 1529672 finch; 1557185 thrush;
2084071 dog; 2092468 terrier; 2087551 hound; 2101108 spaniel; 2099029 retriever; 2104523 sheepdog; 2113335 poodle;
2112826 corgi; 2096756 schnauzer; 2100399 setter; 2120997 feline; 2121808 cat; 2127808 big cat; 2118333 fox;
2114100 wolf; 2131653 bear; 2469914 primate; 2484322 monkey; 2470325 ape; 2329401 rodent; 2355227 squirrel;
2324045 rabbit; 2503517 elephant; 2374451 horse; 2402425 cattle; 2411705 sheep; 2416519 goat; 2395003 pig;
2419796 antelope; 2437136 camel; 1874434 marsupial; 1877134 kangaroo;
17222 plant; 11669921 flower; 12992868 fungus; 13134947 fruit; 7705931 fruit; 7705711 fruit or vegetables;
7707451 vegetable; 7710283 root vegetable; 7715561 squash; 7720442 pepper; 7739125 apple;
7747055 citrus fruit; 7742704 berry; 21265 food; 7555863 food; 7679356 bread; 7622061 baked goods; 7609840 dessert;
7695965 sandwich; 7829412 sauce; 7583197 soup; 7881800 drink; 7891726 wine; 7929519 coffee;
4524313 vehicle; 3791235 motor vehicle; 2958343 car; 4490091 truck; 2924116 bus; 4019101 public transport;
2834778 bicycle; 3790512 motorcycle; 4468005 train; 3684823 locomotive; 2686568 aircraft; 2691156 airplane;
4530566 boat or ship; 2858304 boat; 4194289 ship; 4128837 sailing ship; 3764276 military vehicle; 4543158 wagon;
2970849 cart; 4235291 sled; 4099429 rocket;
3051540 clothing; 3419014 garment; 3380867 footwear; 4199027 shoe; 2872752 boot; 4230808 skirt; 3236735 dress;
3057021 coat; 3590306 jacket; 4370048 sweater; 4197391 shirt; 4489008 trousers; 3497657 hat; 2954340 cap;
3502509 headgear; 3513376 helmet; 3513137 helmet; 4371563 swimsuit; 4143897 scarf; 3815615 necktie; 3540267 hosiery;
4508163 underwear; 3441112 glove; 2739668 armor; 4509592 uniform; 3450516 gown; 4097866 robe; 3597469 jewelry;
4272054 glasses; 3725035 mask; 3825080 nightwear; 2773037 bag; 4555897 watch; 3309808 fabric;
3405725 furniture; 4161981 seat; 3001627 chair; 4379243 table; 2818832 bed; 4256520 sofa; 2828884 bench;
3636248 lamp; 2933112 cabinet; 3366823 floor covering; 4118021 rug; 3151077 curtain; 4459362 towel; 2820210 bedding;
2876657 bottle; 2883344 box; 2801938 basket; 3593526 jar; 3603722 jug; 2880940 bowl; 3438257 drinking glass;
3797390 mug; 2946921 can; 3990474 pot; 3880531 pan; 4381994 tableware; 3101986 cookware; 3621049 kitchen utensil;
3153375 cutlery; 4284002 spoon; 3623556 knife; 3133538 dishware;
3278248 electronic equipment; 3082979 computer; 3985232 portable computer; 4401088 telephone; 2942699 camera;
3614007 keyboard; 3211117 display; 4004475 printer; 3528263 household appliance; 3620052 kitchen appliance;
4437953 timepiece; 3046257 clock; 4451818 tool; 3489162 hand tool; 3997484 power tool; 3800933 musical instrument;
4338517 stringed instrument; 4586932 wind instrument; 3915437 percussion instrument; 3614532 keyboard instrument;
3467517 guitar; 3928116 piano; 4565375 weapon; 3467984 gun; 2778669 ball; 4285146 sports equipment; 3964744 toy;
3733925 measuring instrument; 3852280 optical instrument; 3739693 medical instrument; 3906997 pen; 3113152 cosmetics;
3714235 makeup; 4447443 toiletries; 14974264 paper; 6595351 magazine; 6793231 sign;
2913152 building; 3546340 dwelling; 3544360 house; 3953416 place of worship; 2898711 bridge;
3327234 fence; 4105068 roof; 3748162 shop; 4460130 tower; 3743902 monument; 9287968 landscape; 9359803 mountain;
9433442 shore; 7846 person
"""
"""Number and word of each category that is an everyday word."""

CLASS_WORDS: Final = {
    "n01514668": "rooster",
    "n01532829": "house finch (bird)",
    "n01534433": "junco (bird)",
    "n01560419": "bulbul (bird)",
    "n01580077": "jay (bird)",
    "n01608432": "kite (bird)",
    "n01631663": "eft (newt)",
    "n01664065": "loggerhead turtle",
    "n01685808": "whiptail lizard",
    "n01687978": "agama lizard",
    "n01755581": "diamondback rattlesnake",
    "n01756291": "sidewinder (snake)",
    "n01817953": "African grey parrot",
    "n01847000": "drake (duck)",
    "n01871265": "tusker (elephant)",
    "n02012849": "crane (bird)",
    "n02086910": "papillon (dog)",
    "n02088632": "bluetick hound",
    "n02090379": "redbone hound",
    "n02096051": "Airedale terrier",
    "n02096177": "cairn terrier",
    "n02101556": "clumber spaniel",
    "n02105412": "kelpie (dog)",
    "n02107908": "Appenzeller (dog)",
    "n02108000": "Entlebucher (dog)",
    "n02108089": "boxer (dog)",
    "n02110341": "Dalmatian",
    "n02111129": "Leonberger (dog)",
    "n02111277": "Newfoundland (dog)",
    "n02112137": "chow chow",
    "n02113023": "Pembroke corgi",
    "n02113186": "Cardigan corgi",
    "n02134084": "polar bear",
    "n02276258": "admiral butterfly",
    "n02277742": "ringlet butterfly",
    "n02279972": "monarch butterfly",
    "n02281787": "blue butterfly",
    "n02328150": "Angora rabbit",
    "n02389026": "brown horse",
    "n02415577": "bighorn sheep",
    "n02484975": "guenon monkey",
    "n02486261": "patas monkey",
    "n02488291": "langur monkey",
    "n02488702": "colobus monkey",
    "n02492035": "capuchin monkey",
    "n02493509": "titi monkey",
    "n02497673": "ring-tailed lemur",
    "n02509815": "red panda",
    "n02514041": "barracouta (fish)",
    "n02536864": "coho salmon",
    "n02606052": "rock beauty (fish)",
    "n02641379": "gar (fish)",
    "n02655020": "puffer fish",
    "n02704792": "amphibious vehicle",
    "n02747177": "trash can",
    "n02797295": "wheelbarrow",
    "n02814533": "station wagon",
    "n02814860": "lighthouse",
    "n02817516": "bearskin hat",
    "n02835271": "tandem bicycle",
    "n02869837": "bonnet (hat)",
    "n02892201": "plaque",
    "n02892767": "bra",
    "n02930766": "taxi",
    "n03014705": "chest (box)",
    "n03017168": "bell",
    "n03065424": "coil, spiral",
    "n03089624": "candy store",
    "n03110669": "trumpet",
    "n03126707": "crane (machine)",
    "n03207743": "dishcloth",
    "n03337140": "filing cabinet",
    "n03388549": "four-poster bed",
    "n03424325": "gas mask",
    "n03459775": "radiator grille",
    "n03478589": "half-track (vehicle)",
    "n03483316": "hair dryer",
    "n03485407": "handheld computer",
    "n03492542": "hard disk",
    "n03594734": "jeans",
    "n03595614": "jersey, T-shirt",
    "n03599486": "rickshaw",
    "n03673027": "ocean liner",
    "n03680355": "loafer (shoe)",
    "n03710637": "one-piece swimsuit",
    "n03710721": "one-piece swimsuit",
    "n03782006": "screen",
    "n03793489": "computer mouse",
    "n03804744": "nail (fastener)",
    "n03825788": "nipple (of a bottle)",
    "n03832673": "laptop",
    "n03854065": "pipe organ",
    "n03929660": "guitar pick",
    "n03929855": "pickelhaube (helmet)",
    "n03930630": "pickup truck",
    "n03947888": "pirate ship",
    "n03950228": "pitcher (jug)",
    "n03954731": "carpenter's plane",
    "n03991062": "flowerpot",
    "n04008634": "missile",
    "n04037443": "race car",
    "n04039381": "racket (sports)",
    "n04118776": "ruler",
    "n04141076": "saxophone",
    "n04243546": "slot machine",
    "n04264628": "space bar (of a keyboard)",
    "n04325704": "stole (shawl)",
    "n04335435": "streetcar, tram",
    "n04355933": "sunglasses",
    "n04367480": "mop",
    "n04389033": "tank (vehicle)",
    "n04493381": "bathtub",
    "n04515003": "upright piano",
    "n04517823": "vacuum cleaner",
    "n04554684": "washing machine",
    "n06359193": "website",
    "n07579787": "plate of food",
    "n07613480": "trifle (dessert)",
    "n07697537": "hot dog",
    "n07714571": "cabbage",
    "n07742313": "green apple",
    "n09193705": "alp, mountain",
    "n10148035": "bridegroom",
    "n12620546": "rose hip",
    "n12768682": "horse chestnut",
    "n12998815": "agaric mushroom",
    "n13052670": "hen-of-the-woods mushroom",
    "n13054560": "bolete mushroom",
    "n13133613": "corn",
    "n15075141": "toilet paper",
}
"""Words of classes whose first word in WordNet is rare or ambiguous; classes of the same things have the same word."""


@dataclass(frozen=True, slots=True)
class Noun:
    """A set of synonyms of WordNet, and the numbers of the more general ones."""

    words: tuple[str, ...]
    parents: tuple[int, ...]


def read_nouns(file: Path) -> dict[int, Noun]:
    """Return the nouns of WordNet by their number; the format is that of ``wndb(5WN)``."""
    nouns = {}
    for line in file.read_text(encoding="ascii").splitlines():
        if line.startswith("  "):  # the license
            continue
        fields = line.split(" ")
        count = int(fields[3], 16)
        words = tuple(word.replace("_", " ") for word in fields[4 : 4 + 2 * count : 2])
        start = 5 + 2 * count
        pointers = range(start, start + 4 * int(fields[start - 1]), 4)
        parents = tuple(int(fields[at + 1]) for at in pointers if fields[at] in ("@", "@i"))
        nouns[int(fields[0])] = Noun(words, parents)
    return nouns


def class_words(classes: list[int], nouns: dict[int, Noun]) -> str:
    """Return the table of the classes and of the categories that contain some, as text."""
    above = {number: _ancestors(number, nouns) for number in nouns}
    kinds: dict[int, int] = defaultdict(int)
    for number, ancestors in above.items():
        for ancestor in ancestors - {number}:
            kinds[ancestor] += 1
    words = dict(_category(entry) for entry in CATEGORIES.split(";"))
    chosen = {int(number[1:]): word for number, word in CLASS_WORDS.items()}
    rows = [*classes, *(number for number in words if number not in classes)]
    unknown = ({*chosen} - {*classes}) | ({*words} - set().union(*(above[number] for number in classes)))
    if unknown:
        raise SystemExit(f"no class of ImageNet has the numbers {sorted(unknown)}")
    position = {number: row for row, number in enumerate(rows)}
    lines = []
    for number in rows:
        word = words.get(number) or chosen.get(number) or nouns[number].words[0]
        categories = sorted(position[other] for other in above[number] - {number} if other in words)
        lines.append(f"{word}\tn{number:08d}\t{kinds[number]}\t{' '.join(map(str, categories))}\n")
    return _HEADER + "".join(lines)


def _ancestors(number: int, nouns: dict[int, Noun]) -> set[int]:
    found, pending = set(), [number]
    while pending:
        current = pending.pop()
        if current not in found:
            found.add(current)
            pending.extend(nouns[current].parents)
    return found


def _category(entry: str) -> tuple[int, str]:
    number, word = entry.split(maxsplit=1)
    return int(number), " ".join(word.split())


def main(synsets: str, data_noun: str, file: str) -> None:
    """Write the table."""
    classes = [int(line[1:]) for line in Path(synsets).read_text(encoding="ascii").split()]
    write_text(Path(file), class_words(classes, read_nouns(Path(data_noun))))


if __name__ == "__main__":
    main(*sys.argv[1:])

"""What the store sells: categories, subcategories and the words that its products are made of.

All brands and suppliers are invented. Shares and prices were chosen by hand: a game's store lives
on clothes and on small things, and sells a chair now and then.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

COLORS = ("Black", "White", "Charcoal", "Navy", "Crimson", "Forest Green", "Sand", "Violet")
SIZES = ("XS", "S", "M", "L", "XL", "XXL")
AGES = ("6+", "8+", "10+", "14+")
LANGUAGES = ("en", "de", "fr", "es", "pt")
EDITIONS = ("Standard", "Deluxe", "Limited")
YES_OR_NO = (True, False)

# The first word of every name: colours, moods and roles of the game's arena.
FIRST_WORDS = (
    "Amber", "Arctic", "Arena", "Ashen", "Brass", "Cobalt", "Corsair", "Courier", "Crimson",
    "Distant", "Drifter", "Electric", "Falcon", "Feral", "Gilded", "Hollow", "Iron", "Ivory",
    "Jackal", "Jade", "Kestrel", "Lunar", "Midnight", "Neon", "Nomad", "Obsidian", "Onyx", "Oracle",
    "Pilot", "Quiet", "Radiant", "Ranger", "Scarlet", "Sentinel", "Solar", "Static", "Tidal",
    "Vanguard", "Velvet", "Warden", "Wild", "Zenith",
)  # fmt: skip


@dataclass(frozen=True)
class Subcategory:
    """A shelf of the store.

    A product's name is a first word, one of ``kinds`` and one of ``nouns``. ``dollars`` bound the
    list price (the upper end is not reached), ``grams`` the weight, and ``millimetres`` the longest
    side of its box, both ends included. ``choices`` are three attributes and what they may be.
    """

    name: str
    code: str
    share: int
    dollars: tuple[int, int]
    grams: tuple[int, int]
    millimetres: tuple[int, int]
    kinds: tuple[str, ...]
    nouns: tuple[str, ...]
    choices: Mapping[str, tuple[str | int, ...]]


@dataclass(frozen=True)
class Category:
    """A category: its share of the products, who makes and who delivers them (with the country of
    origin), and the three categories of what is bought with them, the most frequent first."""

    code: str
    share: int
    brands: tuple[str, ...]
    suppliers: tuple[tuple[str, str], ...]
    goes_with: tuple[str, str, str]
    subcategories: tuple[Subcategory, ...]


def _apparel(
    name: str,
    code: str,
    share: int,
    dollars: tuple[int, int],
    grams: tuple[int, int],
    words: tuple[tuple[str, ...], tuple[str, ...]],
    materials: tuple[str, ...],
) -> Subcategory:
    choices = {"size": SIZES, "color": COLORS, "material": materials}
    return Subcategory(name, code, share, dollars, grams, (220, 420), *words, choices)


CATEGORIES: dict[str, Category] = {
    "Apparel": Category(
        "APP",
        22,
        ("Loomgate", "Third Lap", "Cardinal Thread", "Offgrid Cotton", "Marrow & Twill"),
        (("Porto Malhas", "PT"), ("Izmir Tekstil Works", "TR"), ("Dhaka Knit House", "BD")),
        ("Apparel", "Accessories", "Collectibles"),
        (
            _apparel(
                "T-Shirts", "TSH", 40, (15, 35), (140, 260),
                (("Logo", "Graphic", "Faded", "Oversized", "Team"), ("T-Shirt", "Tee", "Jersey")),
                ("Cotton", "Organic Cotton", "Cotton Blend"),
            ),
            _apparel(
                "Hoodies", "HOO", 25, (39, 85), (480, 900),
                (("Zip", "Pullover", "Heavyweight", "Team"), ("Hoodie", "Sweatshirt")),
                ("Cotton Fleece", "Recycled Polyester", "Cotton Blend"),
            ),
            _apparel(
                "Jackets", "JAC", 10, (69, 180), (600, 1400),
                (("Bomber", "Coach", "Windproof", "Varsity"), ("Jacket", "Parka")),
                ("Nylon", "Wool Blend", "Recycled Polyester"),
            ),
            _apparel(
                "Hats", "HAT", 15, (15, 38), (70, 160),
                (("Knitted", "Snapback", "Embroidered", "Ribbed"), ("Cap", "Beanie")),
                ("Cotton", "Wool", "Acrylic"),
            ),
            _apparel(
                "Socks", "SOC", 10, (7, 22), (50, 130),
                (("Striped", "Crew", "Cushioned", "Patterned"), ("Socks", "Sock Set")),
                ("Cotton", "Merino Wool", "Bamboo"),
            ),
        ),
    ),
    "Accessories": Category(
        "ACC",
        16,
        ("Hook & Halyard", "Smallwares", "Tin Lantern", "Everyday Raid", "Pocket Forge"),
        (("Ningbo Giftware", "CN"), ("Bielsko Metal", "PL"), ("Leon Cuero", "MX")),
        ("Apparel", "Accessories", "Collectibles"),
        (
            Subcategory(
                "Bags", "BAG", 25, (25, 110), (250, 1300), (280, 520),
                ("Canvas", "Roll-Top", "Crossbody", "Padded"),
                ("Backpack", "Tote Bag", "Messenger Bag", "Sling"),
                {
                    "color": COLORS,
                    "material": ("Canvas", "Nylon", "Leather"),
                    "litres": (8, 15, 24),
                },
            ),
            Subcategory(
                "Jewelry", "JEW", 20, (12, 95), (5, 60), (60, 120),
                ("Engraved", "Plated", "Woven", "Polished"),
                ("Pendant", "Ring", "Bracelet", "Earrings"),
                {
                    "color": ("Silver", "Gold", "Gunmetal"),
                    "material": ("Steel", "Brass", "Sterling Silver"),
                    "gift_box": YES_OR_NO,
                },
            ),
            Subcategory(
                "Keychains", "KEY", 20, (6, 18), (15, 80), (60, 110),
                ("Enamel", "Rubber", "Leather", "Acrylic"),
                ("Keychain", "Lanyard", "Key Fob"),
                {
                    "color": COLORS,
                    "material": ("Zinc Alloy", "Rubber", "Leather", "Acrylic"),
                    "detachable": YES_OR_NO,
                },
            ),
            Subcategory(
                "Pins & Patches", "PIN", 20, (5, 20), (8, 50), (40, 100),
                ("Enamel", "Woven", "Glow", "Rank"),
                ("Pin", "Pin Set", "Patch", "Badge"),
                {
                    "color": COLORS,
                    "material": ("Hard Enamel", "Soft Enamel", "Twill"),
                    "pieces": (1, 3, 5),
                },
            ),
            Subcategory(
                "Phone Cases", "PHO", 15, (15, 40), (25, 90), (150, 190),
                ("Slim", "Rugged", "Clear", "Magnetic"),
                ("Phone Case", "Phone Grip", "Tablet Sleeve"),
                {
                    "color": COLORS,
                    "material": ("Silicone", "Polycarbonate", "Recycled TPU"),
                    "drop_tested": YES_OR_NO,
                },
            ),
        ),
    ),
    "Books & Art": Category(
        "BKA",
        10,
        ("Paper Citadel", "Inkwell & Ember", "Gutter Press", "Second Draft", "Fine Lines"),
        (("Druckhaus Saale", "DE"), ("Bergamo Stampa", "IT"), ("Midwest Bindery", "US")),
        ("Collectibles", "Books & Art", "Games"),
        (
            Subcategory(
                "Art Books", "ART", 30, (29, 90), (700, 2600), (260, 360),
                ("Concept", "Illustrated", "World", "Character"),
                ("Art Book", "Companion", "Sketchbook"),
                {
                    "cover": ("Hardcover", "Softcover"),
                    "pages": (128, 192, 256),
                    "edition": EDITIONS,
                },
            ),
            Subcategory(
                "Comics", "COM", 25, (5, 28), (90, 600), (240, 290),
                ("Origin", "Untold", "Collected", "Season"),
                ("Comic", "Graphic Novel", "Omnibus"),
                {
                    "cover": ("Hardcover", "Softcover"),
                    "pages": (32, 96, 160),
                    "language": LANGUAGES,
                },
            ),
            Subcategory(
                "Novels", "NOV", 15, (9, 25), (200, 600), (190, 230),
                ("First", "Lost", "Final", "Forgotten"),
                ("Chronicle", "Novel", "Tales"),
                {
                    "cover": ("Hardcover", "Paperback"),
                    "pages": (224, 320, 416),
                    "language": LANGUAGES,
                },
            ),
            Subcategory(
                "Prints", "PRI", 30, (12, 75), (100, 900), (320, 920),
                ("Giclee", "Signed", "Screen", "Panorama"),
                ("Art Print", "Poster", "Canvas Print"),
                {
                    "format": ("A4", "A3", "A2"),
                    "paper": ("Matte", "Satin", "Cotton Rag"),
                    "framed": YES_OR_NO,
                },
            ),
        ),
    ),
    "Collectibles": Category(
        "COL",
        14,
        ("Pedestal", "Vault Nine", "Cast & Relic", "Plinthworks", "Long Shelf"),
        (("Dongguan Figures", "CN"), ("Osaka Craft", "JP"), ("Hanoi Resin", "VN")),
        ("Collectibles", "Books & Art", "Apparel"),
        (
            Subcategory(
                "Figures", "FIG", 35, (19, 120), (150, 1500), (140, 360),
                ("Action", "Mini", "Posable", "Hooded"),
                ("Figure", "Figurine", "Bobblehead"),
                {"scale": ("1:12", "1:8", "1:6"), "material": ("PVC", "ABS"), "edition": EDITIONS},
            ),
            Subcategory(
                "Statues", "STA", 15, (89, 450), (1200, 7000), (260, 620),
                ("Resin", "Bronzed", "Hand-Painted", "Battle"),
                ("Statue", "Bust", "Diorama"),
                {
                    "scale": ("1:10", "1:6", "1:4"),
                    "material": ("Resin", "Polystone"),
                    "numbered": YES_OR_NO,
                },
            ),
            Subcategory(
                "Replicas", "REP", 15, (49, 260), (400, 3500), (220, 980),
                ("Forged", "Ceremonial", "Light-Up", "Full-Size"),
                ("Helmet Replica", "Blade Replica", "Medal Replica"),
                {
                    "scale": ("1:2", "1:1"),
                    "material": ("Foam", "Aluminium", "Zinc Alloy"),
                    "with_stand": YES_OR_NO,
                },
            ),
            Subcategory(
                "Trading Cards", "CRD", 35, (4, 60), (30, 700), (90, 200),
                ("Foil", "Season", "Rival", "Legends"),
                ("Booster Pack", "Card Set", "Starter Deck"),
                {"cards": (10, 20, 60), "language": LANGUAGES, "edition": EDITIONS},
            ),
        ),
    ),
    "Games": Category(
        "GAM",
        12,
        ("Sprint Studio", "Lantern Byte", "Meeple Harbor", "Roll Twice", "Ninth Turn"),
        (("Brno Disc Works", "CZ"), ("Tabletop Print Co", "US"), ("Shantou Games", "CN")),
        ("Collectibles", "Hardware", "Games"),
        (
            Subcategory(
                "Video Games", "VID", 40, (19, 80), (60, 180), (130, 200),
                ("Chronicles", "Uprising", "Tournament", "Origins"),
                ("Edition", "Bundle", "Expansion"),
                {
                    "platform": ("pc", "playstation", "xbox", "switch"),
                    "edition": EDITIONS,
                    "age": ("7+", "12+", "16+"),
                },
            ),
            Subcategory(
                "Board Games", "BOA", 25, (24, 110), (700, 3200), (220, 420),
                ("Cooperative", "Strategy", "Dungeon", "Arena"),
                ("Board Game", "Campaign Box"),
                {"players": ("1-4", "2-4", "2-6"), "minutes": (30, 60, 120), "age": AGES},
            ),
            Subcategory(
                "Card Games", "CGM", 20, (9, 40), (120, 800), (110, 240),
                ("Party", "Duel", "Bluffing", "Quick"),
                ("Card Game", "Deck Builder"),
                {"players": ("2", "2-5", "3-8"), "minutes": (10, 20, 45), "age": AGES},
            ),
            Subcategory(
                "Dice", "DIC", 15, (8, 70), (50, 500), (90, 180),
                ("Resin", "Metal", "Gemstone", "Glow"),
                ("Dice Set", "Dice Tower", "Dice Tray"),
                {
                    "color": COLORS,
                    "material": ("Resin", "Zinc Alloy", "Acrylic"),
                    "pieces": (1, 7, 11),
                },
            ),
        ),
    ),
    "Hardware": Category(
        "HDW",
        9,
        ("Ferrowave", "Keyline", "Pulse Foundry", "Latency Labs", "Deadzone"),
        (("Shenzhen Peripherals", "CN"), ("Taipei Input", "TW"), ("Penang Audio", "MY")),
        ("Accessories", "Hardware", "Games"),
        (
            Subcategory(
                "Headsets", "HEA", 25, (39, 260), (220, 480), (210, 290),
                ("Wireless", "Surround", "Low-Latency", "Studio"),
                ("Headset", "Earbuds"),
                {
                    "connection": ("USB-C", "Bluetooth", "2.4 GHz", "3.5 mm"),
                    "color": COLORS,
                    "microphone": YES_OR_NO,
                },
            ),
            Subcategory(
                "Keyboards", "KBD", 20, (45, 220), (500, 1500), (320, 490),
                ("Mechanical", "Compact", "Wireless", "Backlit"),
                ("Keyboard", "Keypad"),
                {
                    "connection": ("USB-C", "Bluetooth", "2.4 GHz"),
                    "color": COLORS,
                    "switches": ("Linear", "Tactile", "Clicky"),
                },
            ),
            Subcategory(
                "Mice", "MOU", 20, (25, 160), (60, 220), (120, 190),
                ("Wireless", "Ultralight", "Ergonomic", "Ambidextrous"),
                ("Mouse", "Gaming Mouse"),
                {
                    "connection": ("USB-C", "Bluetooth", "2.4 GHz"),
                    "color": COLORS,
                    "dpi": (12_000, 18_000, 26_000),
                },
            ),
            Subcategory(
                "Controllers", "CON", 25, (35, 200), (220, 420), (170, 240),
                ("Pro", "Wireless", "Hall-Effect", "Arcade"),
                ("Controller", "Gamepad", "Fight Stick"),
                {
                    "connection": ("USB-C", "Bluetooth", "2.4 GHz"),
                    "color": COLORS,
                    "platform": ("pc", "playstation", "xbox", "switch"),
                },
            ),
            Subcategory(
                "Chairs", "CHR", 10, (180, 620), (14_000, 27_000), (640, 900),
                ("Ergonomic", "Racing", "Mesh", "Reclining"),
                ("Chair", "Gaming Chair"),
                {
                    "color": COLORS,
                    "material": ("Mesh", "Fabric", "Faux Leather"),
                    "maximum_load_kg": (110, 130, 150),
                },
            ),
        ),
    ),
    "Home & Living": Category(
        "HOM",
        10,
        ("Hearth & Loot", "Soft Respawn", "Daybed Goods", "Kiln North", "Glowhouse"),
        (("Limoges Ceramics", "FR"), ("Jaipur Home", "IN"), ("Guimaraes Textil", "PT")),
        ("Home & Living", "Books & Art", "Toys & Puzzles"),
        (
            Subcategory(
                "Mugs", "MUG", 35, (9, 32), (280, 520), (100, 160),
                ("Ceramic", "Enamel", "Heat-Change", "Stacking"),
                ("Mug", "Mug Set", "Tumbler"),
                {
                    "color": COLORS,
                    "material": ("Ceramic", "Enamel Steel", "Glass"),
                    "millilitres": (300, 350, 450),
                },
            ),
            Subcategory(
                "Lighting", "LIG", 20, (24, 130), (300, 2200), (160, 480),
                ("LED", "Desk", "Ambient", "Neon"),
                ("Lamp", "Wall Light", "Light Strip"),
                {
                    "color": COLORS,
                    "power": ("USB", "Mains", "Battery"),
                    "dimmable": YES_OR_NO,
                },
            ),
            Subcategory(
                "Blankets", "BLA", 25, (29, 95), (700, 2400), (300, 480),
                ("Fleece", "Woven", "Weighted", "Quilted"),
                ("Blanket", "Throw", "Cushion"),
                {
                    "color": COLORS,
                    "material": ("Fleece", "Cotton", "Wool Blend"),
                    "machine_washable": YES_OR_NO,
                },
            ),
            Subcategory(
                "Desk Mats", "DSK", 20, (15, 60), (250, 1100), (330, 930),
                ("Extended", "Stitched", "Cork", "Low-Friction"),
                ("Desk Mat", "Mouse Pad", "Coaster Set"),
                {
                    "color": COLORS,
                    "material": ("Cloth", "Cork", "Felt"),
                    "thickness_mm": (3, 4, 6),
                },
            ),
        ),
    ),
    "Toys & Puzzles": Category(
        "TOY",
        7,
        ("Button Bear", "Cobblefold", "Tangle & Tile", "Little Raid", "Plushworks"),
        (("Yangzhou Plush", "CN"), ("Ravensmoor Puzzles", "DE"), ("Curitiba Brinquedos", "BR")),
        ("Toys & Puzzles", "Games", "Collectibles"),
        (
            Subcategory(
                "Jigsaw Puzzles", "JIG", 30, (12, 48), (350, 1400), (240, 420),
                ("Panorama", "Foil", "Map", "Collage"),
                ("Puzzle", "Jigsaw Puzzle"),
                {"players": ("1", "1-2", "1-4"), "age": AGES, "pieces": (300, 500, 1000, 2000)},
            ),
            Subcategory(
                "Plush", "PLU", 35, (14, 60), (120, 900), (160, 480),
                ("Soft", "Giant", "Weighted", "Pocket"),
                ("Plush", "Plush Companion", "Plush Keeper"),
                {
                    "color": COLORS,
                    "material": ("Polyester", "Organic Cotton", "Recycled Polyester"),
                    "age": ("0+", "3+"),
                },
            ),
            Subcategory(
                "Building Sets", "BLD", 20, (19, 180), (300, 3800), (200, 580),
                ("Modular", "Micro", "Motorized", "Fortress"),
                ("Building Set", "Brick Set"),
                {"players": ("1", "1-2"), "age": AGES, "pieces": (180, 420, 960, 1800)},
            ),
            Subcategory(
                "Brain Teasers", "BRA", 15, (8, 35), (80, 600), (70, 200),
                ("Wooden", "Magnetic", "Sliding", "Twisty"),
                ("Brain Teaser", "Puzzle Cube", "Puzzle Box"),
                {
                    "players": ("1", "1-2"),
                    "age": AGES,
                    "material": ("Wood", "ABS", "Steel"),
                },
            ),
        ),
    ),
}  # fmt: skip

// Thumbnails: from the sheets in this page, otherwise from the original file, otherwise a placeholder.

const UNREADABLE = -2;
const NOT_EMBEDDED = -1;

// For each tier, `tile` maps an image to its tile.
const tiers = data.thumbnails.map((tier) => {
  const indices = decodeBytes(tier.images, Int32Array);
  const missing = new Set(tier.missing);
  const tile = new Int32Array(images.count).fill(NOT_EMBEDDED);
  indices.forEach((image, at) => (tile[image] = missing.has(at) ? UNREADABLE : at));
  return { ...tier, count: indices.length, tile, perSheet: tier.columns * tier.columns, blobs: [], urls: [] };
});

function sheetBlob(tier, number) {
  tier.blobs[number] ??= new Blob([decodeBytes(tier.sheets[number])], { type: "image/webp" });
  return tier.blobs[number];
}

// The sheet and position of an image's largest thumbnail, or null.
function findTile(index) {
  for (const tier of tiers) {
    const at = tier.tile[index];
    if (at < 0) continue;
    const sheet = Math.floor(at / tier.perSheet);
    const inSheet = at % tier.perSheet;
    const tiles = Math.min(tier.perSheet, tier.count - sheet * tier.perSheet);
    return {
      tier,
      sheet,
      column: inSheet % tier.columns,
      row: Math.floor(inSheet / tier.columns),
      columns: Math.min(tier.columns, tiles),
      rows: Math.ceil(tiles / tier.columns),
    };
  }
  return null;
}

function placeholder() {
  return element("span", { class: "picture missing" }, "no preview");
}

// A square thumbnail without alternative text: the element around it is labeled with the image's name.
function thumbnail(index) {
  const found = findTile(index);
  if (found) return tileThumbnail(found);
  if (tiers.some((tier) => tier.tile[index] === UNREADABLE)) return placeholder();
  const original = element("img", {
    class: "picture",
    alt: "",
    loading: "lazy",
    decoding: "async",
    src: images.link(index),
  });
  original.addEventListener("error", () => original.replaceWith(placeholder()));
  return original;
}

function tileThumbnail({ tier, sheet, column, row, columns, rows }) {
  tier.urls[sheet] ??= URL.createObjectURL(sheetBlob(tier, sheet));
  const x = columns > 1 ? (column / (columns - 1)) * 100 : 0;
  const y = rows > 1 ? (row / (rows - 1)) * 100 : 0;
  return element("span", {
    class: tier.side <= 40 ? "picture tiny" : "picture",
    style: {
      "background-image": `url("${tier.urls[sheet]}")`,
      "background-size": `${columns * 100}% ${rows * 100}%`,
      "background-position": `${x}% ${y}%`,
    },
  });
}

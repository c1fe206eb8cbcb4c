// Pictures of images: from the sheets inside the page, else from the original beside it, else a placeholder.

// For each image and tier the place of its tile; -1 where it has none.
const tiers = data.thumbnails.map((tier) => {
  const shown = unpack(tier.images, Int32Array);
  const missing = new Set(tier.missing);
  const place = new Int32Array(images.count).fill(-1);
  shown.forEach((image, at) => (place[image] = missing.has(at) ? -2 : at));
  return { ...tier, count: shown.length, place, perSheet: tier.columns * tier.columns, blobs: [], links: [] };
});

function sheetBlob(tier, number) {
  tier.blobs[number] ??= new Blob([unpack(tier.sheets[number])], { type: "image/webp" });
  return tier.blobs[number];
}

// Where the picture of an image lies, the largest first or, with `small`, the smallest; null where there is none.
function findTile(index, small = false) {
  for (const tier of small ? [...tiers].reverse() : tiers) {
    const at = tier.place[index];
    if (at >= 0) {
      const number = Math.floor(at / tier.perSheet);
      const inside = at % tier.perSheet;
      const held = Math.min(tier.perSheet, tier.count - number * tier.perSheet);
      const columns = Math.min(tier.columns, held);
      return {
        tier,
        number,
        column: inside % tier.columns,
        row: Math.floor(inside / tier.columns),
        columns,
        rows: Math.ceil(held / tier.columns),
      };
    }
  }
  return null;
}

const isUnreadable = (index) => tiers.some((tier) => tier.place[index] === -2);

function placeholder() {
  return element("span", { class: "picture gone" }, "no picture");
}

// A square picture; it says nothing to screen readers, because what holds it has the image's name.
function picture(index) {
  const tile = findTile(index);
  if (tile) {
    const { tier, number, column, row, columns, rows } = tile;
    tier.links[number] ??= URL.createObjectURL(sheetBlob(tier, number));
    const across = columns > 1 ? (column / (columns - 1)) * 100 : 0;
    const down = rows > 1 ? (row / (rows - 1)) * 100 : 0;
    return element("span", {
      class: tier.side <= 40 ? "picture tiny" : "picture",
      style: {
        "background-image": `url("${tier.links[number]}")`,
        "background-size": `${columns * 100}% ${rows * 100}%`,
        "background-position": `${across}% ${down}%`,
      },
    });
  }
  if (isUnreadable(index)) return placeholder();
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

// What lies over the map's points: pictures where there is room, names under the most typical ones, the frame of the
// image that was chosen.

function relabel() {
  for (const entry of map.labels) {
    entry.label.textContent = plan.nameOf(entry.cluster.number) || String(entry.cluster.number);
    entry.label.hidden = false;
  }
  // Measured here once: asked for in every frame, the browser would lay the page out as often.
  for (const entry of map.labels) {
    entry.width = entry.label.offsetWidth || 24;
    entry.height = entry.label.offsetHeight || 20;
  }
}

// Medoids from afar; from near every picture that has room, those of typical images first.
function placePictures() {
  const shown = [];
  const taken = new Set();
  const fits = (index) => !search.fits || search.fits[index];
  const take = (index, size, gap) => {
    const x = across(index),
      y = down(index);
    if (x < -size || y < -size || x > map.width + size || y > map.height + size) return;
    const column = Math.round(x / gap),
      row = Math.round(y / gap);
    for (const cell of [
      `${column},${row}`,
      `${column + 1},${row}`,
      `${column},${row + 1}`,
      `${column - 1},${row}`,
      `${column},${row - 1}`,
    ])
      if (taken.has(cell)) return;
    const tile = findTile(index, true);
    if (!tile) return;
    taken.add(`${column},${row}`);
    shown.push([index, tile, x, y, size]);
  };
  const close = map.scale / map.fit;
  const near = close >= CLOSE || images.count <= FEW;
  const size = near ? Math.min(88, PICTURE * Math.sqrt(Math.max(1, close / CLOSE))) : MEDOID;
  map.size = size;
  for (const { cluster } of map.labels) if (fits(cluster.medoid)) take(cluster.medoid, size, size * 0.62);
  if (near) {
    for (const cluster of clusters.values())
      for (const index of cluster.representatives)
        if (shown.length < PICTURES && fits(index)) take(index, size, size * 0.62);
    for (let at = images.count - 1; at >= 0 && shown.length < PICTURES; at--)
      if (fits(map.order[at])) take(map.order[at], size, size * 0.62);
  }
  map.shown = shown.map(([index, , x, y, size]) => ({ index, x, y, size }));
  while (map.pictures.children.length < 2 * shown.length) map.pictures.addChild(new PIXI.Sprite(PIXI.Texture.WHITE));
  map.pictures.children.forEach((sprite, at) => (sprite.visible = at < 2 * shown.length));
  shown.reverse().forEach(([index, tile, x, y, size], at) => {
    const frame = map.pictures.children[2 * at],
      sprite = map.pictures.children[2 * at + 1];
    frame.tint = clusters.get(images.cluster[index]).colour;
    frame.setSize(size + 4);
    frame.position.set(Math.round(x - size / 2 - 2), Math.round(y - size / 2 - 2));
    const texture = textureOf(tile);
    sprite.visible = texture !== null;
    if (texture) sprite.texture = texture;
    sprite.setSize(size);
    sprite.position.set(Math.round(x - size / 2), Math.round(y - size / 2));
  });
}

// The texture of a tile; null while its sheet is being decoded, after which the map is drawn again.
function textureOf({ tier, number, column, row }) {
  tier.sources ??= [];
  tier.textures ??= new Map();
  if (tier.sources[number] === undefined) {
    tier.sources[number] = null;
    createImageBitmap(sheetBlob(tier, number)).then(
      (bitmap) => {
        tier.sources[number] = new PIXI.ImageSource({
          resource: bitmap,
          scaleMode: tier.side <= 40 ? "nearest" : "linear",
        });
        drawSoon();
      },
      () => {},
    );
  }
  const source = tier.sources[number];
  if (!source) return null;
  const key = `${number} ${column} ${row}`;
  if (!tier.textures.has(key))
    tier.textures.set(
      key,
      new PIXI.Texture({
        source,
        frame: new PIXI.Rectangle(column * tier.side, row * tier.side, tier.side, tier.side),
      }),
    );
  return tier.textures.get(key);
}

// Names under the medoids, the largest clusters first; what would cover another name stays away.
function placeLabels() {
  const placed = [];
  for (const { cluster, label, width, height } of map.labels) {
    const x = across(cluster.medoid),
      y = down(cluster.medoid) + map.size / 2 + 4;
    const box = [x - width / 2 - 2, y, x + width / 2 + 2, y + height + 2];
    const inside = box[0] > 0 && box[1] > 0 && box[2] < map.width && box[3] < map.height;
    const faded = search.fits && !cluster.found?.length;
    const hidden =
      !inside ||
      faded ||
      placed.some((other) => box[0] < other[2] && box[2] > other[0] && box[1] < other[3] && box[3] > other[1]);
    if (label.hidden !== hidden) label.hidden = hidden;
    if (hidden) continue;
    placed.push(box);
    label.style.transform = `translate(${Math.round(x)}px, ${Math.round(y)}px) translate(-50%, 0)`;
  }
}

function placeMark() {
  map.mark.clear();
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  for (const index of new Set([map.ring, map.chosen])) {
    if (index < 0) continue;
    const seen = map.shown.find((picture) => picture.index === index);
    const half = seen ? seen.size / 2 + 4 : 8;
    map.mark
      .rect(across(index) - half, down(index) - half, 2 * half, 2 * half)
      .stroke({ width: 3, color: dark ? "#ffffff" : "#101214" });
  }
}

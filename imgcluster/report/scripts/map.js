// The map: every image is a point, and a picture where there is room.

function startMap() {
  const view = byId("map-view");
  const canvas = element("canvas", { "aria-hidden": "true" });
  map.order = drawingOrder();
  try {
    map.colors = new Uint8Array(4 * images.count);
    updateColors();
    const points = pointsInOrder();
    const contours = images.count < CONTOURS_FROM ? new Int16Array() : densityContours(images.points);
    const arrays = { points, colors: map.colors, markers: markersInOrder(), contours };
    map.renderer = new MapRenderer(canvas, arrays, requestDraw);
  } catch (error) {
    console.info(`No map: ${error.message}`);
    byId("map").dataset.state = "missing";
    byId("map").replaceChildren(
      element("p", {}, "The map needs WebGL2, which this browser does not provide. All clusters are listed below."),
    );
    byId("map-help").hidden = true;
    return;
  }
  view.append(canvas);
  view.setAttribute(
    "aria-label",
    `Map of ${formatCount(images.count, "image")}. Arrow keys move the map, plus and minus zoom, Enter opens the image in the frame, Space selects it. The list of clusters shows the same images.`,
  );
  createLabels();
  resizeMap();
  showWholeMap();
  listenToMap(view);
  listenToChanges(view);
  draw();
  byId("map").dataset.state = "ready";
}

function listenToChanges(view) {
  new ResizeObserver(() => {
    resizeMap();
    requestDraw();
  }).observe(view);
  // A different pixel ratio, after moving to another screen, changes no size.
  window.addEventListener("resize", requestDraw);
  DARK_MODE.addEventListener("change", recolorMap);
  window.addEventListener("beforeprint", copyMapForPrint);
  window.addEventListener("afterprint", removePrintedMap);
  search.listeners.push(recolorMap);
  selection.listeners.push(recolorMap);
  plan.listeners.push(() => {
    relabelMap();
    requestDraw();
  });
}

// Noise is drawn first and small clusters last, so that large clusters do not cover small ones.
function drawingOrder() {
  const rank = ({ number, size }) => (number < 0 ? Infinity : size);
  const sorted = [...clusters.values()].sort((a, b) => rank(b) - rank(a));
  return Int32Array.from(sorted.flatMap((cluster) => cluster.members));
}

function pointsInOrder() {
  const points = new Int16Array(2 * images.count);
  map.order.forEach((index, at) => {
    points[2 * at] = Math.round(images.points[2 * index] * 32767);
    points[2 * at + 1] = Math.round(images.points[2 * index + 1] * 32767);
  });
  return points;
}

function markersInOrder() {
  return Uint8Array.from(map.order, (index) => MARKERS.indexOf(clusters.get(images.cluster[index]).marker));
}

function recolorMap() {
  updateColors();
  map.renderer.updateColors();
  requestDraw();
}

function updateColors() {
  for (const cluster of clusters.values()) cluster.rgb = mapColor(cluster, isDark());
  map.order.forEach((index, at) => {
    const selected = selection.images.has(index);
    map.colors.set(pointColor(index), 4 * at);
    map.colors[4 * at + 3] =
      search.matches && !search.matches[index] ? 24 : selected || !selection.images.size ? 255 : NOT_SELECTED;
  });
}

// Pixels of a point: smaller for more images, larger when zoomed in.
function pointSize() {
  const base = images.count > 30000 ? 3 : images.count > 5000 ? 4.5 : images.count > 1000 ? 6 : 8;
  return Math.min(14, base * Math.sqrt(Math.max(1, map.scale / map.fit)));
}

function requestDraw() {
  if (map.frameRequested) return;
  map.frameRequested = true;
  requestAnimationFrame(() => {
    map.frameRequested = false;
    draw();
  });
}

function draw() {
  placePictures();
  map.renderer.draw(map, pointSize(), isDark() ? [1, 1, 1] : [0, 0, 0]);
  placeLabels();
  placeFrames();
  if (map.hovered >= 0) placeCard(byId("map-card"), toScreenX(map.hovered), toScreenY(map.hovered));
}

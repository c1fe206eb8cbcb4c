// Printing: all clusters show their images, and the map is copied, because WebGL is printed empty.

const PRINTED_WIDTH = 680; // in CSS pixels: fits on A4 and Letter
const PRINTED_HEIGHT = 500;

window.addEventListener("beforeprint", () => {
  for (const slot of document.querySelectorAll(".cluster:not([hidden]) .strip-slot:empty")) fillStrip(slot);
});

// The map keeps its size, and is reduced to the paper's.
function copyMapForPrint() {
  map.printing = true;
  updateColors();
  map.renderer.updateColors();
  draw();
  const { canvas } = map.renderer;
  const copy = element("canvas", { id: "map-printed", width: canvas.width, height: canvas.height });
  copy.getContext("2d").drawImage(canvas, 0, 0);
  canvas.after(copy);
  canvas.hidden = true;
  const zoom = Math.min(1, PRINTED_WIDTH / map.width, PRINTED_HEIGHT / map.height);
  const size = { "--print-width": `${map.width}px`, "--print-height": `${map.height}px`, "--print-zoom": zoom };
  for (const [name, value] of Object.entries(size)) byId("map").style.setProperty(name, value);
}

function removePrintedMap() {
  map.printing = false;
  byId("map-printed")?.remove();
  map.renderer.canvas.hidden = false;
  recolorMap();
}

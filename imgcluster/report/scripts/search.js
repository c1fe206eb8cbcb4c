// Search and filters, which narrow down the gallery and the map.

const TOP_FOLDER = "(top folder)";

// A quarter of the images in clusters has a lower confidence, or fewer where many have the same.
const firstQuartile = (() => {
  const all = images.confidence.filter((_, index) => images.cluster[index] >= 0).sort();
  return all[Math.floor(all.length / 4)] ?? 0;
})();

const search = {
  matches: null, // one byte per image; null without a search
  listeners: [],
  texts: null, // lower-case paths, made at the first search

  run(text, folder, leastOnly) {
    const words = text.toLowerCase().normalize("NFC").split(/\s+/).filter(Boolean);
    this.matches = words.length || folder !== null || leastOnly ? this.find(words, folder, leastOnly) : null;
    for (const listener of this.listeners) listener();
  },

  find(words, folder, leastOnly) {
    this.texts ??= images.names.map((_, index) => images.path(index).normalize("NFC").toLowerCase());
    const titleOf = (number) => `${fullTitle(number)} ${suggestedName(number)}`.toLowerCase();
    const titles = new Map([...clusters.keys()].map((number) => [number, titleOf(number)]));
    const matches = new Uint8Array(images.count);
    for (let i = 0; i < images.count; i++) {
      if (folder !== null && images.folder[i] !== folder) continue;
      if (leastOnly && images.cluster[i] >= 0 && images.confidence[i] >= firstQuartile) continue;
      const title = titles.get(images.cluster[i]);
      if (words.every((word) => this.texts[i].includes(word) || title.includes(word))) matches[i] = 1;
    }
    return matches;
  },
};

function setUpSearch() {
  const order = images.folders
    .map((_, at) => at)
    .sort((a, b) => (images.folders[a][0] < images.folders[b][0] ? -1 : 1));
  byId("folder").append(
    element("option", { value: "" }, "All folders"),
    ...order.map((at) => element("option", { value: at }, images.folders[at][0] || TOP_FOLDER)),
  );
  byId("folder-label").hidden = images.folders.length < 2;
  const run = () => {
    const folder = byId("folder").value;
    search.run(byId("search").value, folder === "" ? null : Number(folder), byId("low-confidence").checked);
  };
  let timer = 0;
  byId("search").addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(run, 120);
  });
  byId("folder").addEventListener("change", run);
  byId("low-confidence").addEventListener("change", run);
}

// The selected images.

const selection = {
  images: new Set(),
  anchor: -1, // where a range starts
  base: new Set(), // what was selected before the range
  origin: null, // the element that had the focus when the selection changed
  listeners: [],

  get sorted() {
    return [...this.images].sort((a, b) => a - b);
  },

  replace(indices) {
    this.images = new Set(indices);
    this.changed();
  },

  add(indices) {
    this.replace([...this.images, ...indices]);
  },

  toggle(index) {
    const next = new Set(this.images);
    if (!next.delete(index)) next.add(index);
    this.anchor = index;
    this.base = next;
    this.replace(next);
  },

  // Selects the images of `list` from the anchor to `index`, beside those selected before; without an anchor in the list
  // the range starts at `from`.
  extend(list, index, from = index) {
    if (!list.includes(this.anchor)) {
      this.anchor = from;
      this.base = this.images;
    }
    const [first, last] = [list.indexOf(this.anchor), list.indexOf(index)].sort((a, b) => a - b);
    this.replace([...this.base, ...list.slice(first, last + 1)]);
  },

  clear() {
    this.anchor = -1;
    this.base = new Set();
    this.replace([]);
  },

  changed() {
    const focused = document.activeElement;
    if (focused?.matches(".tile, #map-view")) this.origin = focused;
    for (const listener of this.listeners) listener();
  },

  // The images that are selected after a rectangle; Shift, Ctrl and Cmd keep the present selection.
  afterRectangle(event, before, inside) {
    return event.shiftKey || event.ctrlKey || event.metaKey ? [...before, ...inside] : inside;
  },

  save() {
    const quoted = (value) => (/[",\r\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value);
    const rows = this.sorted.map((index) => {
      const number = images.cluster[index];
      return [images.path(index), String(number), plan.nameOf(number), images.confidence[index].toFixed(4)];
    });
    const lines = [["path", "cluster", "name", "confidence"], ...rows].map((row) => row.map(quoted).join(",") + "\n");
    download("imgcluster-selection.csv", "text/csv", lines.join(""));
  },
};

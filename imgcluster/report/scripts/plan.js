// The plan: what `imgcluster apply` is to change. Each change can be undone, and the browser keeps the plan of this
// clustering when the page is reloaded.

const NOISE = -1; // new clusters have the numbers -2, -3, …
const MOST_PARTS = 20;
const MOST_UNDONE = 100;
const PLAN_KEY = `imgcluster plan ${data.identity}`;

// The parts of a plan; an image is in one of misplaced, unsorted and pinned at most.
const PLAN_PARTS = ["names", "merges", "splits", "created", "misplaced", "unsorted", "pinned", "aside"];
const IMAGE_PARTS = new Set(["misplaced", "unsorted", "pinned", "aside"]);

// The next page of the clustering can have another sample, with other indices: plans are then stored with paths.
const IS_SAMPLE = images.count < images.total;

const plan = {
  ...Object.fromEntries(PLAN_PARTS.map((part) => [part, new Map()])),
  earlier: [], // the states before the last changes
  saved: true,
  stored: true, // whether the browser keeps the plan; some do not for local files
  storedText: null, // what this tab read or stored last
  listeners: [],

  get state() {
    return JSON.stringify(PLAN_PARTS.map((part) => [...this[part]]));
  },

  set state(text) {
    const parts = JSON.parse(text);
    PLAN_PARTS.forEach((part, at) => (this[part] = new Map(parts[at])));
  },

  get size() {
    const targets = new Set(this.misplaced.values());
    for (const number of this.created.keys()) targets.add(number);
    const kinds = [this.unsorted, this.pinned, this.aside].filter((images) => images.size);
    return this.names.size + this.merges.size + this.splits.size + targets.size + kinds.length;
  },

  change(edit) {
    this.synchronize();
    const before = this.state;
    edit();
    const used = new Set(this.misplaced.values());
    for (const number of this.created.keys()) if (!used.has(number)) this.created.delete(number);
    if (this.state === before) return;
    this.remember(before);
    this.changed();
  },

  remember(state) {
    this.earlier.push(state);
    if (this.earlier.length > MOST_UNDONE) this.earlier.shift();
  },

  undo() {
    this.synchronize();
    if (!this.earlier.length) return;
    this.state = this.earlier.pop();
    this.changed();
  },

  changed() {
    this.saved = this.size === 0;
    this.store();
    for (const listener of this.listeners) listener();
  },

  // A plan without changes is stored too, so that other tabs see that all were undone.
  store() {
    try {
      localStorage.setItem(PLAN_KEY, this.textToStore());
      this.storedText = localStorage.getItem(PLAN_KEY);
    } catch {
      this.stored = false;
    }
  },

  textToStore() {
    if (!IS_SAMPLE) return this.state;
    const withPaths = (entries) => entries.map(([image, value]) => [images.path(image), value]);
    return JSON.stringify(
      PLAN_PARTS.map((part) => (IMAGE_PARTS.has(part) ? withPaths([...this[part]]) : [...this[part]])),
    );
  },

  // Reads the stored plan; returns whether this tab did not know it.
  restore() {
    let text = null;
    try {
      text = localStorage.getItem(PLAN_KEY);
    } catch {
      this.stored = false;
    }
    if (text === null || text === this.storedText) return false;
    this.storedText = text;
    if (!isPlanState(text)) return false;
    this.state = text;
    if (IS_SAMPLE) this.findImages();
    // A plan that moves no image leaves the clustering as it was: after `apply` its changes are part of the page.
    for (const [number, name] of this.names) if (name === clusters.get(number).name) this.names.delete(number);
    for (const part of ["unsorted", "pinned"])
      for (const index of this[part].keys()) if (images.decisions.get(index) === part) this[part].delete(index);
    for (const index of this.aside.keys()) if (setAside.has(index)) this.aside.delete(index);
    this.saved = this.size === 0;
    return true;
  },

  // Replaces the paths of images by their indices; those that are not in the sample stay in the plan by their paths.
  findImages() {
    const indices = new Map(images.names.map((_, index) => [images.path(index), index]));
    for (const part of IMAGE_PARTS)
      this[part] = new Map([...this[part]].map(([path, value]) => [indices.get(path) ?? path, value]));
  },

  // Takes over what another tab with this page changed, which the next change would overwrite.
  synchronize() {
    const before = this.state;
    if (!this.stored || !this.restore()) return;
    this.remember(before);
    for (const listener of this.listeners) listener();
  },

  nameOf(number) {
    return this.created.get(number) ?? this.names.get(number) ?? clusters.get(number)?.name ?? "";
  },

  // Why a cluster cannot have this name; "" if it can.
  nameProblem(number, text) {
    const name = text.trim().normalize("NFC");
    if (this.merges.has(number) && name !== this.nameOf(number))
      return `${untitled(number)} will be merged into ${untitled(this.mergeTarget(number))}, so it needs no name.`;
    if (!name) return "";
    for (const other of [...clusters.keys(), ...this.created.keys()]) {
      const target = this.mergeTarget(other);
      // An unnamed target inherits the name.
      const isGone = target !== other && (target === NOISE || this.nameOf(target));
      if (other === NOISE || target === number || isGone) continue;
      if (this.nameOf(other).toLowerCase() === name.toLowerCase())
        return `${untitled(other)} already has this name. Merge the two clusters or choose another name.`;
    }
    return /[\p{Cc}\p{Zl}\p{Zp}]/u.test(text) ? "A name cannot contain line breaks or control characters." : "";
  },

  rename(number, text) {
    const name = text.trim().normalize("NFC");
    this.change(() => {
      if (this.created.has(number)) this.created.set(number, name);
      else if (name === clusters.get(number).name) this.names.delete(number);
      else this.names.set(number, name);
    });
  },

  // The cluster that a cluster becomes part of after all merges.
  mergeTarget(number) {
    while (this.merges.has(number)) number = this.merges.get(number);
    return number;
  },

  merge(from, into) {
    this.change(() => {
      this.merges.delete(from);
      if (into === null || this.mergeTarget(into) === from) return;
      this.merges.set(from, into);
      this.splits.delete(from);
      const name = this.names.get(from);
      this.names.delete(from);
      // An unnamed target takes over the name, as it does for a stored name when the plan is applied.
      if (name && into >= 0 && !this.nameOf(into)) this.names.set(into, name);
    });
  },

  // Splits a cluster into a number of parts, or leaves it as it is for null.
  split(number, parts) {
    this.change(() => {
      this.splits.delete(number);
      if (parts === null) return;
      this.splits.set(number, parts);
      this.merges.delete(number);
    });
  },

  // Moves images to a cluster; null leaves them where they are.
  move(indices, number) {
    this.change(() => this.set(indices, this.misplaced, number));
  },

  // Moves images to a new cluster and returns its number.
  create(indices) {
    let number;
    this.change(() => {
      number = Math.min(NOISE, ...this.created.keys()) - 1;
      this.created.set(number, "");
      this.set(indices, this.misplaced, number);
    });
    return number;
  },

  reject(indices) {
    this.decide(indices, "unsorted");
  },

  pin(indices) {
    this.decide(indices, "pinned");
  },

  // Sets images aside, if that is allowed, or keeps them; the files then move to the folder of duplicates, or stay.
  setAside(indices, aside) {
    this.change(() => {
      for (const index of indices) {
        if (!aside) this.aside.delete(index);
        else if (canBeSetAside(index)) this.aside.set(index, true);
      }
    });
  },

  // Decisions that are recorded in the workspace already are not part of the plan.
  decide(indices, decision) {
    const isNew = (index) => images.decisions.get(index) !== decision;
    this.change(() => {
      this.set(indices, this[decision], null);
      this.set(indices.filter(isNew), this[decision], true);
    });
  },

  // Puts images into one part of the plan and out of the others; null, or their own cluster, puts them into none.
  set(indices, part, value) {
    for (const index of indices) {
      for (const other of [this.misplaced, this.unsorted, this.pinned]) other.delete(index);
      if (value !== null && value !== images.cluster[index]) part.set(index, value);
    }
  },

  toJSON() {
    const target = (number) => (number === NOISE ? "noise" : number);
    const paths = (indices) => [...indices].map((index) => images.path(index));
    const moved = [...this.misplaced];
    const added = {
      new_clusters: [...this.created].map(([number, name]) => ({
        name,
        images: paths(moved.filter(([, to]) => to === number).map(([index]) => index)),
      })),
      split: [...this.splits].map(([cluster, into]) => ({ cluster, into })),
      unsorted: paths(this.unsorted.keys()),
      pinned: paths(this.pinned.keys()),
      set_aside: paths(this.aside.keys()),
    };
    return {
      imgcluster_plan: 1,
      clustering: data.identity,
      names: Object.fromEntries(this.names),
      merges: [...this.merges].map(([from, into]) => ({ from, into: target(into) })),
      misplaced: moved
        .filter(([, to]) => to >= NOISE)
        .map(([index, to]) => ({ path: images.path(index), to: target(to) })),
      // Earlier versions of imgcluster read a plan without these.
      ...Object.fromEntries(Object.entries(added).filter(([, entries]) => entries.length)),
    };
  },

  get text() {
    return JSON.stringify(this, null, 2) + "\n";
  },

  // Differs for each plan, since browsers save a file of an earlier plan's name under another one.
  get fileName() {
    let digest = 0x811c9dc5; // FNV-1a
    for (const character of this.text) digest = Math.imul(digest ^ character.codePointAt(0), 0x01000193);
    return `imgcluster-plan-${(digest >>> 0).toString(16).padStart(8, "0")}.json`;
  },

  save() {
    download(this.fileName, "application/json", this.text);
    this.saved = true;
  },
};

// Whether a stored text is the state of a plan for this clustering.
function isPlanState(text) {
  try {
    const parts = JSON.parse(text);
    // Plans of earlier pages set no images aside.
    const [names, merges, splits, created, misplaced, unsorted, pinned, aside = []] = parts;
    const isCluster = (number) => number >= 0 && clusters.has(number);
    const isTarget = (number) => number === NOISE || isCluster(number);
    const isIndex = (index) => Number.isInteger(index) && index >= 0 && index < images.count;
    const isImage = IS_SAMPLE ? (path) => typeof path === "string" : isIndex;
    const fresh = new Set(created.map(([number]) => number));
    return (
      parts.length <= PLAN_PARTS.length &&
      names.every(([number, name]) => isCluster(number) && typeof name === "string") &&
      merges.every(([from, into]) => isCluster(from) && isTarget(into)) &&
      splits.every(([number, into]) => isCluster(number) && into >= 2 && into <= MOST_PARTS) &&
      created.every(([number, name]) => Number.isInteger(number) && number < NOISE && typeof name === "string") &&
      misplaced.every(([index, to]) => isImage(index) && (isTarget(to) || fresh.has(to))) &&
      [...unsorted, ...pinned, ...aside].every(([index]) => isImage(index))
    );
  } catch {
    return false;
  }
}

plan.restore();

for (const type of ["storage", "pageshow"]) window.addEventListener(type, () => plan.synchronize());

window.addEventListener("beforeunload", (event) => {
  if (!plan.saved && !plan.stored) event.preventDefault();
});

document.addEventListener("keydown", (event) => {
  const typing = event.target.matches("input:not([type=checkbox]), textarea");
  if (typing || event.altKey || event.shiftKey || !(event.ctrlKey || event.metaKey)) return;
  if (event.key.toLowerCase() !== "z") return;
  event.preventDefault();
  undoChange();
});

// The plan in the browser's storage: it survives a reload, all tabs with the page share it, and a page of the same
// workspace that is written later finds what was not applied.

const PLAN_KEYS = "imgcluster plan "; // followed by the identity of a clustering
const PLAN_KEY = PLAN_KEYS + data.identity;
const ADDRESS = location.href.split("#")[0];

// An image that a sample does not have stays in the plan by its path.
const IS_SAMPLE = images.count < images.total;

const planStorage = {
  works: true, // some browsers store nothing for local files
  text: null, // what this tab read or stored last
  saved: null, // the plan that was saved as a file last, as it is stored

  // Whether a file has the present plan.
  get isSaved() {
    return !plan.size || JSON.stringify(this.parts) === JSON.stringify(this.saved);
  },

  // The parts of the plan as lists. Other pages of the workspace have other indices, so images are named by their paths.
  get parts() {
    return PLAN_PARTS.map((part) =>
      [...plan[part]].map(([key, value]) => [IMAGE_PARTS.has(part) ? images.path(key) : key, value]),
    );
  },

  // A plan without changes is stored too, so that other tabs see that all were undone.
  store() {
    const stored = { address: ADDRESS, time: Date.now(), parts: this.parts, saved: this.saved };
    this.write(PLAN_KEY, JSON.stringify(stored));
    if (this.works) this.text = this.read(PLAN_KEY);
  },

  write(key, text) {
    try {
      localStorage.setItem(key, text);
    } catch {
      this.works = false;
    }
  },

  noteSaved() {
    this.saved = this.parts;
    this.store();
  },

  // The stored text of a plan; null without one.
  read(key) {
    try {
      return localStorage.getItem(key);
    } catch {
      this.works = false;
      return null;
    }
  },

  // Reads the stored plan; returns whether this tab did not know it.
  restore() {
    const text = this.read(PLAN_KEY);
    if (text === null || text === this.text) return false;
    this.text = text;
    const stored = parseStored(text);
    if (!stored) return false;
    Object.assign(plan, divide(stored.parts).usable);
    this.saved = stored.saved;
    return true;
  },

  // Takes over what another tab with this page changed, which the next change would overwrite.
  synchronize() {
    const before = plan.state;
    if (!this.works || !this.restore() || plan.state === before) return;
    plan.remember(before);
    for (const listener of plan.listeners) listener();
  },

  // Reads the plan of this page. Where it has none yet, that of the clustering before `assign` goes on, because all images
  // of that clustering are in the same clusters.
  start() {
    this.noteApplied();
    if (this.restore()) this.store(); // a page with a plan that was applied is back after `undo`
    if (this.text !== null) return;
    for (const identity of data.earlierClusterings.toReversed()) {
      const key = PLAN_KEYS + identity;
      const stored = parseStored(this.read(key));
      const { usable, rest } = divide(stored?.parts ?? []);
      if (!countChanges(usable)) continue;
      Object.assign(plan, usable);
      this.saved = stored.saved;
      this.store();
      if (this.works) this.replace(key, stored, rest);
      return;
    }
  },

  // Records which plans `apply` applied to get this page: what they contain is not offered again.
  noteApplied() {
    for (const key of data.appliedTo.map((identity) => PLAN_KEYS + identity)) {
      const stored = parseStored(this.read(key));
      if (!stored?.saved || stored.applied || key === PLAN_KEY) continue;
      this.write(key, JSON.stringify({ ...stored, applied: true }));
    }
  },

  // The plans with changes that were not applied, of earlier pages at this address and of clusterings before `assign`, the
  // newest first: what is `usable` on this page, and the `rest`.
  get others() {
    let keys = [];
    try {
      keys = Object.keys(localStorage).filter((key) => key.startsWith(PLAN_KEYS) && key !== PLAN_KEY);
    } catch {
      this.works = false;
    }
    const isOfWorkspace = ({ key, stored }) =>
      stored && (stored.address === ADDRESS || data.earlierClusterings.includes(key.slice(PLAN_KEYS.length)));
    return keys
      .map((key) => ({ key, stored: parseStored(this.read(key)) }))
      .filter(isOfWorkspace)
      .map(({ key, stored }) => ({ key, stored, ...divide(stored.applied ? unsavedParts(stored) : stored.parts) }))
      .filter(({ usable, rest }) => countChanges(usable) + countChanges(rest) > 0)
      .sort((a, b) => b.stored.time - a.stored.time);
  },

  // Leaves of another plan what this page cannot do, for the page of another clustering.
  replace(key, stored, rest) {
    const parts = PLAN_PARTS.map((part) => [...rest[part]]);
    if (countChanges(rest)) this.write(key, JSON.stringify({ ...stored, parts }));
    else localStorage.removeItem(key);
  },
};

// A stored plan; null for anything else.
function parseStored(text) {
  try {
    const value = JSON.parse(text);
    // Earlier versions of imgcluster stored the parts only.
    const { address = "", time = 0, parts, saved = null, applied = false } = Array.isArray(value) ? { parts: value } : value;
    const isPart = (part) => part.every(Array.isArray);
    return parts.every(isPart) && (saved ?? []).every(isPart) ? { address, time, parts, saved, applied } : null;
  } catch {
    return null;
  }
}

// The parts without what was saved as a file; new clusters stay for images that were added to them since.
function unsavedParts({ parts, saved }) {
  const saves = (saved ?? []).map((part) => new Set(part.map((entry) => JSON.stringify(entry))));
  const isUnsaved = (entry, at) => PLAN_PARTS[at] === "created" || !saves[at]?.has(JSON.stringify(entry));
  return parts.map((part, at) => part.filter((entry) => isUnsaved(entry, at)));
}

let indices = null; // of all images by their paths, made when a plan is read

// Divides stored parts into what this page can do, with the indices of images, and the rest. What the clustering has
// already is in neither.
function divide(parts) {
  const [usable, rest] = [emptyParts(), emptyParts()];
  parts.forEach((entries, at) => {
    const part = PLAN_PARTS[at];
    for (const [stored, value] of entries) {
      const key = IMAGE_PARTS.has(part) ? findImage(stored) : stored;
      if (key === undefined || !isPossible(part, key, value, usable.created)) rest[part]?.set(stored, value);
      else if (part === "pinned" && isElsewhere(key, value)) usable.misplaced.set(key, value);
      else if (part === "misplaced" && images.cluster[key] === value) {
        if (!images.decisions.has(key)) usable.pinned.set(key, value);
      } else if (!isDone(part, key, value)) usable[part].set(key, value);
    }
  });
  rest.created = new Map(usable.created);
  removeUnused(usable);
  removeUnused(rest);
  return { usable, rest };
}

// The index of an image that is named by its path, or, as earlier versions of imgcluster did, by its index. A sample need
// not have an image of the plan.
function findImage(image) {
  if (typeof image === "number") return images.cluster[image] === undefined ? undefined : image;
  indices ??= new Map(images.names.map((_, index) => [images.path(index), index]));
  return indices.get(image) ?? (IS_SAMPLE ? image : undefined);
}

// Whether an image was pinned in another cluster than it is in.
const isElsewhere = (index, cluster) =>
  typeof index === "number" && typeof cluster === "number" && images.cluster[index] !== cluster;

function isPossible(part, key, value, created) {
  const isCluster = (number) => number >= 0 && clusters.has(number);
  const isTarget = (number) => number === NOISE || isCluster(number);
  switch (part) {
    case "names":
      return isCluster(key) && typeof value === "string";
    case "merges":
      return isCluster(key) && isTarget(value);
    case "splits":
      return isCluster(key) && value >= 2 && value <= Math.min(MOST_PARTS, clusters.get(key).size);
    case "created":
      return Number.isInteger(key) && key < NOISE && typeof value === "string";
    case "misplaced":
      return isTarget(value) || created.has(value);
    case "pinned":
      return typeof value !== "number" || isTarget(value);
    default:
      return part !== undefined;
  }
}

function isDone(part, key, value) {
  if (part === "names") return value === clusters.get(key).name;
  return part === "aside" ? setAside.has(key) : images.decisions.get(key) === part;
}

window.addEventListener("beforeunload", (event) => {
  if (!planStorage.isSaved && !planStorage.works) event.preventDefault();
});

for (const type of ["storage", "pageshow"]) window.addEventListener(type, () => planStorage.synchronize());

// The plan: what `imgcluster apply` is to change. Each change can be undone.

const NOISE = -1; // new clusters have the numbers -2, -3, …
const MOST_PARTS = 20;
const MOST_UNDONE = 100;

// The parts of a plan; an image is in one of misplaced, unsorted and pinned at most.
const PLAN_PARTS = ["names", "merges", "splits", "created", "misplaced", "unsorted", "pinned", "aside"];
const IMAGE_PARTS = new Set(["misplaced", "unsorted", "pinned", "aside"]);

const emptyParts = () => Object.fromEntries(PLAN_PARTS.map((part) => [part, new Map()]));

// The number of changes of a plan; images that move to the same cluster are one.
function countChanges({ names, merges, splits, created, misplaced, unsorted, pinned, aside }) {
  const targets = new Set([...misplaced.values(), ...created.keys()]);
  const kinds = [unsorted, pinned, aside].filter((images) => images.size);
  return names.size + merges.size + splits.size + targets.size + kinds.length;
}

// Removes new clusters without images.
function removeUnused({ created, misplaced }) {
  const used = new Set(misplaced.values());
  for (const number of created.keys()) if (!used.has(number)) created.delete(number);
}

const plan = {
  ...emptyParts(),
  earlier: [], // the states before the last changes, and what to do when these are undone
  listeners: [],

  get state() {
    return JSON.stringify(PLAN_PARTS.map((part) => [...this[part]]));
  },

  set state(text) {
    const parts = JSON.parse(text);
    PLAN_PARTS.forEach((part, at) => (this[part] = new Map(parts[at])));
  },

  get size() {
    return countChanges(this);
  },

  change(edit, whenUndone = null) {
    planStorage.synchronize();
    const before = this.state;
    edit();
    removeUnused(this);
    if (this.state === before) return;
    this.remember(before, whenUndone);
    this.changed();
  },

  remember(state, whenUndone = null) {
    this.earlier.push({ state, whenUndone });
    if (this.earlier.length > MOST_UNDONE) this.earlier.shift();
  },

  undo() {
    planStorage.synchronize();
    if (!this.earlier.length) return;
    const { state, whenUndone } = this.earlier.pop();
    this.state = state;
    this.changed();
    whenUndone?.();
  },

  changed() {
    planStorage.store();
    for (const listener of this.listeners) listener();
  },

  // Adds the changes of another plan; what this one changes already stays as it is.
  add(other) {
    const isNew = (index) => ![this.misplaced, this.unsorted, this.pinned].some((part) => part.has(index));
    for (const [from, into] of other.merges)
      if (!this.merges.has(from) && !this.splits.has(from) && !this.names.get(from) && this.mergeTarget(into) !== from)
        this.merges.set(from, into);
    for (const part of ["names", "splits"])
      for (const [number, value] of other[part])
        if (!this[part].has(number) && !this.merges.has(number)) this[part].set(number, value);
    const numbers = new Map();
    for (const [number, name] of other.created) {
      const same = (known) => name && this.nameOf(known).toLowerCase() === name.toLowerCase();
      const next = Math.min(NOISE, ...this.created.keys()) - 1;
      numbers.set(number, [...clusters.keys(), ...this.created.keys()].find(same) ?? next);
      if (numbers.get(number) === next) this.created.set(next, name);
    }
    for (const part of ["misplaced", "unsorted", "pinned"])
      for (const [index, value] of [...other[part]].filter(([index]) => isNew(index)))
        this[part].set(index, part === "misplaced" ? (numbers.get(value) ?? value) : value);
    for (const index of other.aside.keys()) if (canBeSetAside(index)) this.aside.set(index, true);
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
      for (const index of indices.filter(isNew)) this[decision].set(index, images.cluster[index]);
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
    planStorage.noteSaved();
  },
};

document.addEventListener("keydown", (event) => {
  const typing = event.target.matches("input:not([type=checkbox]), textarea");
  if (typing || event.altKey || event.shiftKey || !(event.ctrlKey || event.metaKey)) return;
  if (event.key.toLowerCase() !== "z") return;
  event.preventDefault();
  undoChange();
});

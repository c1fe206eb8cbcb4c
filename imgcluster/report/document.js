// The page's data, read once, and the few helpers that all other scripts use. Texts only ever become text nodes.

const data = JSON.parse(document.getElementById("data").textContent);

function unpack(text, Kind) {
  const raw = atob(text);
  const bytes = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) bytes[i] = raw.charCodeAt(i);
  return Kind ? new Kind(bytes.buffer) : bytes;
}

const images = {
  count: data.images.names.length,
  names: data.images.names,
  folders: data.images.folders,
  folder: unpack(data.images.folder, Int32Array),
  cluster: unpack(data.images.cluster, Int32Array),
  runnerUp: data.images.runnerUp === null ? null : unpack(data.images.runnerUp, Int32Array),
  confidence: Float32Array.from(unpack(data.images.confidence, Uint16Array), (value) => value / 65535),
  distance: unpack(data.images.distance, Float32Array),
  points: Float32Array.from(unpack(data.images.points, Int16Array), (value) => value / 32767),

  path(index) {
    const folder = this.folders[this.folder[index]][0];
    return folder ? `${folder}/${this.names[index]}` : this.names[index];
  },

  // Where the original is, from here; also where a name holds "?", "#" or "%".
  link(index) {
    const own = data.images.links[index];
    if (own !== undefined) return own;
    const home = this.folders[this.folder[index]][1];
    return `${home}/${encodeURIComponent(this.names[index])}`;
  },
};

const clusters = new Map(data.clusters.map((cluster) => [cluster.number, cluster]));
// Members by confidence, so that the doubtful ones are at the end; equal ones stay in order.
for (const cluster of clusters.values()) cluster.members = [];
for (let i = 0; i < images.count; i++) clusters.get(images.cluster[i]).members.push(i);
for (const cluster of clusters.values()) {
  cluster.members.sort((a, b) => images.confidence[b] - images.confidence[a] || a - b);
  let sum = 0;
  for (const member of cluster.members) sum += images.confidence[member];
  cluster.confidence = sum / cluster.members.length;
}

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (name === "style") for (const [key, part] of Object.entries(value)) made.style.setProperty(key, part);
    else if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

const byId = (id) => document.getElementById(id);
const whole = (value) => value.toLocaleString("en");
const percent = (share) => `${(share * 100).toFixed(share < 0.0995 ? 1 : 0)} %`;
const counted = (count, noun) => `${whole(count)} ${noun}${count === 1 ? "" : "s"}`;
const rounded = (value) => (Math.round(value * 100) === 0 ? "0.00" : value.toFixed(2).replace("-", "−"));

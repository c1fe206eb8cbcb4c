// Duplicates and bursts: the best image of each group beside its copies, and a way to set images aside.

const GROUPS_PER_STEP = 24;
const COPY_FIELDS = ["image", "kind", "score", "width", "height", "bytes"];

const COPY_SECTIONS = {
  duplicates: {
    title: "Duplicates",
    one: "duplicate",
    text: "The best image is first: most pixels, then camera and time of capture in EXIF, then the oldest, then the least compressed.",
    words: {
      exact: () => "exact copy",
      near: (score) => `near-copy, ${formatPercent(score)} agreement`,
    },
  },
  bursts: {
    title: "Bursts",
    one: "photograph of a burst",
    many: "photographs of bursts",
    text: "Photographs taken within seconds of each other. The sharpest is first.",
    words: {
      exact: () => "exact copy",
      burst: (score) => `${formatPercent(score)} of the fine detail`,
    },
  },
};

const readCopies = (groups) =>
  groups.map((group) => group.map((values) => Object.fromEntries(COPY_FIELDS.map((name, at) => [name, values[at]]))));

const copyGroups = {
  duplicates: readCopies(data.findings.duplicates),
  bursts: readCopies(data.findings.bursts),
};

function formatBytes(bytes) {
  const units = ["bytes", "KB", "MB", "GB", "TB"];
  let at = 0;
  for (; bytes >= 999.5 && at < units.length - 1; at++) bytes /= 1000;
  return `${at && bytes < 9.95 ? bytes.toFixed(1) : Math.round(bytes)} ${units[at]}`;
}

// The groups of each image, as lists of images, also those that are not shown.
const groupsOfImage = new Map();
const shownGroups = [...copyGroups.duplicates, ...copyGroups.bursts].map((group) => group.map(({ image }) => image));
for (const group of [...shownGroups, ...data.findings.remaining])
  for (const image of group) groupsOfImage.set(image, [...(groupsOfImage.get(image) ?? []), group]);

// Whether an image is not set aside yet, and another image of each of its groups stays.
function canBeSetAside(image) {
  const stays = (copy) => copy !== image && !plan.aside.has(copy);
  return !setAside.has(image) && (groupsOfImage.get(image) ?? []).every((group) => group.some(stays));
}

function asideBox({ image }) {
  const box = element("input", { type: "checkbox", "data-aside": image, "aria-label": `Set aside ${images.path(image)}` });
  box.checked = plan.aside.has(image);
  box.addEventListener("change", () => {
    if (box.checked && !canBeSetAside(image)) {
      box.checked = false;
      box.closest(".copy").querySelector(".problem").textContent = "The other images of the group are set aside.";
      return;
    }
    plan.setAside([image], box.checked);
  });
  return element("label", { class: "check" }, box, " Set aside");
}

function copyFacts(copy, words) {
  const size = `${formatInteger(copy.width)}×${formatInteger(copy.height)}, ${formatBytes(copy.bytes)}`;
  return element(
    "div",
    { class: "copy-facts" },
    element("p", { class: "path" }, images.path(copy.image)),
    element("p", { class: "soft" }, size),
    element("p", { class: "soft" }, copy.kind === "best" ? "best" : (words[copy.kind]?.(copy.score) ?? copy.kind)),
    asideBox(copy),
    element("p", { class: "problem", role: "alert" }),
  );
}

// All images of a group, the best one first.
function groupCard(group, words) {
  const copies = new Map(group.map((copy) => [copy.image, copy]));
  const withFacts = (tile, index) => element("div", { class: "copy" }, tile, copyFacts(copies.get(index), words));
  const label = `${images.path(group[0].image)} and ${formatInteger(group.length - 1)} more`;
  return element(
    "article",
    { class: "group", style: { "--images": group.length } },
    tileGrid([...copies.keys()], label, { withFacts }),
  );
}

function asideButton(text, list) {
  const button = element("button", { type: "button" }, text);
  button.addEventListener("click", () => plan.setAside(list, true));
  return list.length ? button : null;
}

function showCopies(name) {
  const groups = copyGroups[name];
  if (!groups.length) return;
  const { title, one, many, text, words } = COPY_SECTIONS[name];
  const copies = groups.flatMap(([, ...others]) => others);
  const of = (kind) => copies.filter((copy) => copy.kind === kind).map((copy) => copy.image);
  const count = copies.length === 1 ? `1 ${one}` : `${formatInteger(copies.length)} ${many ?? `${one}s`}`;
  const link = element("a", { href: `#${name}` }, count);
  byId("sentences").append(element("p", { class: "finding" }, link, ` in ${formatCount(groups.length, "group")}.`));
  const list = element("div", { class: "groups" });
  const more = element("button", { type: "button" });
  let shown = 0;
  const grow = () => {
    list.append(...groups.slice(shown, shown + GROUPS_PER_STEP).map((group) => groupCard(group, words)));
    shown = Math.min(groups.length, shown + GROUPS_PER_STEP);
    more.textContent = `Show ${formatCount(Math.min(GROUPS_PER_STEP, groups.length - shown), "more group")}`;
    more.hidden = shown === groups.length;
  };
  more.addEventListener("click", grow);
  grow();
  byId(name).append(
    element("h2", { id: `${name}-title` }, title),
    element("p", { class: "soft" }, `${text} Images that you set aside move to the folder “duplicates” of the workspace.`),
    element(
      "p",
      { class: "row" },
      asideButton("Set aside all exact copies", of("exact")),
      asideButton("Set aside all near-copies", of("near")),
      asideButton("Set aside all but the sharpest", of("burst")),
    ),
    list,
    more,
  );
  byId(name).hidden = false;
}

plan.listeners.push(() => {
  for (const box of document.querySelectorAll("[data-aside]")) box.checked = plan.aside.has(Number(box.dataset.aside));
  for (const problem of document.querySelectorAll(".copy .problem")) problem.textContent = "";
});

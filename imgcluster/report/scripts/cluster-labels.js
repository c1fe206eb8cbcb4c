// How clusters are named, marked and chosen throughout the page.

// The title of a cluster without its name; new clusters are numbered from 1.
function untitled(number) {
  if (number === NOISE) return "Noise";
  return number < NOISE ? `New cluster ${NOISE - number}` : `Cluster ${number}`;
}

function shortTitle(number) {
  return (number !== NOISE && plan.nameOf(number)) || untitled(number);
}

function fullTitle(number) {
  const name = number === NOISE ? "" : plan.nameOf(number);
  return name ? `${untitled(number)}, ${name}` : untitled(number);
}

// What is shown beside the title of an unnamed cluster.
function suggestedName(number) {
  return plan.nameOf(number) ? "" : clusters.get(number).suggestedName;
}

function clusterMarker(number) {
  const { color, marker } = clusters.get(number);
  return element("span", { class: `marker ${marker}`, style: { "--color": color }, "aria-hidden": "true" });
}

function clusterLink(number) {
  return element(
    "button",
    { type: "button", class: "link", onclick: () => openCluster(number) },
    clusterMarker(number),
    shortTitle(number),
  );
}

// A drop-down list of all clusters but `without`; its first option, `unchanged`, has the value "". With `created` it
// contains the new clusters of the plan, too.
function clusterSelect(id, unchanged, without, selected, { created = false } = {}) {
  const numbers = [...clusters.keys()].filter((number) => number >= 0 && !plan.merges.has(number));
  if (created) numbers.push(...plan.created.keys());
  const options = [element("option", { value: "" }, unchanged)];
  for (const number of numbers) {
    if (number !== without)
      options.push(element("option", { value: number, selected: number === selected }, fullTitle(number)));
  }
  if (without !== NOISE)
    options.push(element("option", { value: NOISE, selected: selected === NOISE }, "Noise (no cluster)"));
  return element("select", { id }, ...options);
}

const selectedCluster = (select) => (select.value === "" ? null : Number(select.value));

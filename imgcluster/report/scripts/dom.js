// Helpers that build elements and format numbers. Text only ever becomes text nodes.

const byId = (id) => document.getElementById(id);

function element(tag, attributes = {}, ...children) {
  const created = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (name === "style") for (const [key, part] of Object.entries(value)) created.style.setProperty(key, part);
    else if (name.startsWith("on")) created.addEventListener(name.slice(2), value);
    else created.setAttribute(name, value === true ? "" : value);
  }
  created.append(...children.filter((child) => child !== null && child !== undefined));
  return created;
}

// A list of names and values; empty values are left out.
function definitions(rows) {
  const list = element("dl", { class: "facts" });
  for (const [name, value] of rows)
    if (value !== null && value !== "")
      list.append(element("div", {}, element("dt", {}, name), element("dd", {}, value)));
  return list;
}

// Saves a text as a file.
function download(name, type, text) {
  const link = element("a", { href: URL.createObjectURL(new Blob([text], { type })), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

// A button that copies a text.
function copyButton(label, text, id = null) {
  const copy = async () => {
    let isCopied = true;
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      // Browsers that do not offer the clipboard to local files copy a selected text.
      const area = element("textarea", { class: "hidden" });
      area.value = text;
      button.after(area);
      area.select();
      isCopied = document.execCommand("copy");
      area.remove();
      button.focus();
    }
    button.textContent = isCopied ? "Copied" : "Not copied";
    setTimeout(() => (button.textContent = label), 2000);
  };
  const button = element("button", { id, type: "button", class: "small", onclick: copy }, label);
  return button;
}

const formatInteger = (value) => value.toLocaleString("en");
// A percentage that is 0% only for none, and 100% only for all.
function formatPercent(share) {
  if (share > 0 && share < 0.0005) return "<0.1%";
  if (share >= 0.995 && share < 1) return ">99%";
  return `${(share * 100).toFixed(share < 0.0995 ? 1 : 0)}%`;
}
const formatCount = (count, noun) => `${formatInteger(count)} ${noun}${count === 1 ? "" : "s"}`;
const formatNumber = (value) => (Math.round(value * 100) === 0 ? "0.00" : value.toFixed(2).replace("-", "−"));
const clamp = (value, least, most) => Math.max(least, Math.min(most, value));

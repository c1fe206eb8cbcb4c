// What all dialogs share.

// The heading and a close button; Escape closes a dialog too.
function dialogHead(dialog, heading) {
  return element(
    "div",
    { class: "dialog-head" },
    heading,
    element("button", { type: "button", class: "close", "aria-label": "Close", onclick: () => dialog.close() }, "✕"),
  );
}

// Shows a dialog from its top. One that is open already has other content, in which no element has the focus.
function showDialog(dialog) {
  if (dialog.open) dialog.querySelector(".close").focus();
  else dialog.showModal();
  dialog.scrollTop = 0;
}

function closeDialogs() {
  for (const dialog of document.querySelectorAll("dialog[open]")) dialog.close();
}

function detailsOf(rows) {
  const list = definitions(rows);
  return list.childElementCount ? element("details", {}, element("summary", {}, "Details"), list) : null;
}

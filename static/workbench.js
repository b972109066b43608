// The copy workbench: trees and typing ask for a new plan; folders, places and focus stay as they were.
"use strict";

const workbench = () => document.getElementById("rule-form");

let opened = false; // a file was chosen: on a phone its pane is below the trees

// --- buttons of the trees and tabs: only the lower half is asked for anew ------------------------------
document.addEventListener("click", (event) => {
  const button = event.target instanceof Element ? event.target.closest("#bench button[name]") : null;
  const form = workbench();
  if (!button || button.name === "do" || !form || !window.htmx) return;
  event.preventDefault();
  opened = button.name === "show";
  htmx.ajax("POST", form.dataset.preview, {
    source: form,
    target: "#bench",
    swap: "outerHTML",
    values: { [button.name]: button.value },
  });
});

// --- a button that changes the rows wins over typing that comes a moment later --------------------------------
let changing = false;
const changesRows = (element) => element?.name === "do";

document.addEventListener("htmx:confirm", (event) => {
  if (changesRows(event.detail.elt)) changing = true;
  else if (changing && event.detail.elt === workbench()) event.preventDefault();
});

document.addEventListener("htmx:afterRequest", (event) => {
  if (changesRows(event.detail.requestConfig?.elt)) changing = false;
});

// --- the search field stands beside a hidden one of the same name; only the typed text counts ---------------
document.addEventListener("htmx:configRequest", (event) => {
  const typed = document.getElementById("find-file");
  if (typed && event.detail.parameters.has?.("find")) event.detail.parameters.set("find", typed.value);
});

// --- “When and how it arrives” stays open or shut when rows change ----------------------------------------------------
document.addEventListener(
  "toggle",
  (event) => {
    const open = document.getElementById("arrives-open");
    if (event.target.id === "arrives" && open) open.value = event.target.open ? "1" : "0";
  },
  true,
);

// --- folders that were opened or shut by hand --------------------------------------------------------------
function remember(name, key, wanted) {
  const there = [...document.querySelectorAll(`#bench input[name="${name}"]`)].filter((i) => i.value === key);
  for (const input of there) input.remove();
  if (!wanted) return;
  const input = document.createElement("input");
  input.type = "hidden";
  input.name = name;
  input.value = key;
  document.querySelector("#bench [data-state]").append(input);
}

document.addEventListener(
  "toggle",
  (event) => {
    const folder = event.target;
    if (!(folder instanceof HTMLDetailsElement) || !folder.dataset.key) return;
    if (!folder.dataset.touched) return;
    remember("open", folder.dataset.key, folder.open);
    remember("shut", folder.dataset.key, !folder.open);
  },
  true,
);

// A folder that comes open from the server also says "toggle"; only a person's hand counts.
for (const kind of ["click", "keydown"]) {
  document.addEventListener(
    kind,
    (event) => {
      const row = event.target instanceof Element ? event.target.closest("#bench summary") : null;
      if (row) row.parentElement.dataset.touched = "1";
    },
    true,
  );
}

// --- places and focus over a swap -----------------------------------------------------------------------
const PANES = ["source-pane", "target-pane", "file-pane"];
let places = [];
let last = null;

const scrolled = (id) => document.querySelector(`#${id} :is(.tree, .code)`);

document.addEventListener("htmx:beforeSwap", (event) => {
  if (event.detail.target.id !== "bench") return;
  places = PANES.map((id) => [id, scrolled(id)?.scrollTop ?? 0]);
  const active = document.activeElement;
  last = null;
  if (!active?.closest("#bench")) return;
  const key = active.closest("summary")?.parentElement.dataset.key;
  if (active.id) last = { selector: `#${CSS.escape(active.id)}`, from: active.selectionStart ?? null };
  else if (key) last = { selector: `#bench details[data-key="${CSS.escape(key)}"] > summary` };
  else if (active.name) last = { selector: `#bench button[name="${active.name}"][value="${CSS.escape(active.value)}"]` };
});

document.addEventListener("htmx:afterSettle", (event) => {
  for (const [id, top] of places) {
    const pane = scrolled(id);
    if (pane) pane.scrollTop = top;
  }
  places = [];
  const tab = document.querySelector(".target-tabs [aria-current]");
  if (tab) tab.parentElement.scrollLeft = tab.offsetLeft - 40;
  if (opened && matchMedia("(width < 768px)").matches) document.getElementById("file-pane")?.scrollIntoView();
  opened = false;
  const again = last && document.querySelector(last.selector);
  if (again && document.activeElement !== again) {
    again.focus({ preventScroll: true });
    if (last.from !== null) again.setSelectionRange?.(last.from, last.from);
  }
  last = null;
  for (const note of document.querySelectorAll("#rule-form .note-line")) {
    const input = document.getElementById(note.id.replace(/-note$/, ""));
    if (note.textContent) input?.setAttribute("aria-invalid", "true");
    else input?.removeAttribute("aria-invalid");
  }
});

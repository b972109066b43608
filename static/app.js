// What the pages can do beyond plain HTML. Everything works without it, except live updates.
"use strict";

const root = document.documentElement;
const closest = (event, selector) => (event.target instanceof Element ? event.target.closest(selector) : null);

// --- theme ---------------------------------------------------------------------------------------
function showTheme() {
  const theme = root.dataset.theme || "auto";
  for (const button of document.querySelectorAll("[data-theme-choice]")) {
    button.setAttribute("aria-pressed", String(button.dataset.themeChoice === theme));
  }
}

function setTheme(theme) {
  root.dataset.theme = theme;
  try {
    localStorage.setItem("theme", theme);
  } catch {
    // Storage is switched off: the choice lasts for this page.
  }
  showTheme();
}

// --- copy, reveal, dismiss --------------------------------------------------------------------------
async function copyText(button) {
  await navigator.clipboard.writeText(button.dataset.copy);
  const label = button.getAttribute("aria-label");
  button.classList.add("copied");
  button.setAttribute("aria-label", "Copied");
  setTimeout(() => {
    button.classList.remove("copied");
    button.setAttribute("aria-label", label);
  }, 1500);
}

function reveal(button) {
  const input = document.getElementById(button.dataset.reveal);
  const shown = input.type === "password";
  input.type = shown ? "text" : "password";
  button.setAttribute("aria-pressed", String(shown));
}

// --- dialogs: a popover without this script, modal with it ---------------------------------------------
function openDialog(event, button) {
  const dialog = document.getElementById(button.dataset.dialog);
  if (!dialog) return;
  event.preventDefault();
  dialog.showModal();
  dialog.addEventListener("close", () => button.focus(), { once: true });
}

document.addEventListener("click", (event) => {
  const theme = closest(event, "[data-theme-choice]");
  const copy = closest(event, "[data-copy]");
  const eye = closest(event, "[data-reveal]");
  const opener = closest(event, "[data-dialog]");
  const closer = closest(event, "[data-close]");
  const dismiss = closest(event, "[data-dismiss]");
  if (theme) setTheme(theme.dataset.themeChoice);
  else if (copy) copyText(copy);
  else if (eye) reveal(eye);
  else if (opener) openDialog(event, opener);
  else if (closer?.closest("dialog:modal")) {
    event.preventDefault();
    closer.closest("dialog").close();
  } else if (dismiss) {
    dismiss.closest("[data-message]").remove();
    document.getElementById("main")?.focus();
  } else if (event.target instanceof HTMLDialogElement && event.target.matches(":modal")) {
    event.target.close(); // a click beside the dialog
  }
  for (const menu of document.querySelectorAll("[data-menu][open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});

// --- keys ---------------------------------------------------------------------------------------------
function isTyping(target) {
  return target instanceof Element && target.matches("input, select, textarea, [contenteditable]");
}

function move(list, from, step) {
  const next = list[(list.indexOf(from) + step + list.length) % list.length];
  next?.focus();
}

function menuKey(event, menu) {
  const entries = [...menu.querySelectorAll(".menu-list :is(a, button)")];
  if (event.key === "Escape" && menu.open) {
    menu.open = false;
    menu.querySelector("summary").focus();
  } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    if (!menu.open) menu.open = true;
    const down = event.key === "ArrowDown";
    if (entries.includes(document.activeElement)) move(entries, document.activeElement, down ? 1 : -1);
    else entries.at(down ? 0 : -1)?.focus();
  } else return;
  event.preventDefault();
}

const TREE_ROWS = "summary, a.row, button.row";

function treeKey(event, tree) {
  const row = closest(event, TREE_ROWS);
  if (!row) return;
  const rows = [...tree.querySelectorAll(TREE_ROWS)].filter((other) => other.checkVisibility());
  const folder = row.matches("summary") ? row.parentElement : null;
  const parent = (folder ?? row).parentElement.closest("details");
  const at = rows.indexOf(row);
  const keys = {
    ArrowDown: () => rows[at + 1]?.focus(),
    ArrowUp: () => rows[at - 1]?.focus(),
    Home: () => rows[0].focus(),
    End: () => rows.at(-1).focus(),
    ArrowRight: () => (folder && !folder.open ? (folder.open = true) : rows[at + 1]?.focus()),
    ArrowLeft: () => (folder?.open ? (folder.open = false) : parent?.querySelector("summary").focus()),
  };
  if (!keys[event.key]) return;
  event.preventDefault();
  keys[event.key]();
}

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
  const menu = closest(event, "[data-menu]");
  const tree = closest(event, "[data-tree]");
  if (menu) menuKey(event, menu);
  else if (tree) treeKey(event, tree);
  else if (event.key === "/" && !isTyping(event.target)) {
    const find = document.querySelector("[data-find]");
    if (!find) return;
    event.preventDefault();
    find.focus();
    find.select();
  } else if (event.key === "Escape" && !isTyping(event.target)) {
    document.querySelector("[data-drawer] .close")?.click();
  }
});

// --- filters submit themselves ---------------------------------------------------------------------------
document.addEventListener("change", (event) => {
  const form = closest(event, "form[data-autosubmit]");
  if (form) form.requestSubmit();
});

// --- live parts: no polling in a hidden tab, and focus stays where it was ------------------------------------
document.addEventListener("htmx:beforeRequest", (event) => {
  if (document.hidden && event.detail.requestConfig.triggeringEvent === undefined) event.preventDefault();
});

// A log that grows keeps its end in view, unless the reader scrolled away from it.
const toEnd = (frame) => (frame.scrollTop = frame.scrollHeight);
document.querySelectorAll("[data-follow=end]").forEach(toEnd);
document.addEventListener("htmx:oobBeforeSwap", (event) => {
  const frame = event.detail.target.closest("[data-follow]");
  if (frame) frame.dataset.follow = frame.scrollHeight - frame.scrollTop - frame.clientHeight < 40 ? "end" : "";
});
document.addEventListener("htmx:oobAfterSwap", (event) => {
  const frame = event.detail.target.closest("[data-follow]");
  if (frame?.dataset.follow === "end") toEnd(frame);
});

let focused = null;
document.addEventListener("htmx:beforeSwap", (event) => {
  const active = document.activeElement;
  focused = active && event.detail.target.contains(active) ? active.id : null;
});
document.addEventListener("htmx:afterSettle", () => {
  if (focused && document.activeElement === document.body) document.getElementById(focused)?.focus();
  focused = null;
});

showTheme();

// --- a form that is on its way somewhere else ----------------------------------------------------------
document.querySelector("form[data-send-now]")?.requestSubmit();

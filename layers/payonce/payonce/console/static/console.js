// Local times, ids copied by a click, and the focus after a page was swapped. Every page works without it.

const DATE = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

/**
 * Writes each time in the reader's zone, unless UTC was chosen in the header. The title keeps UTC for a pointer; the
 * switch in the header is for a keyboard, since a time that takes the focus would be one of hundreds.
 */
function localise(within) {
  if (document.documentElement.dataset.times === "utc") return;
  for (const time of within.querySelectorAll("time[datetime]:not([data-local])")) {
    const when = new Date(time.dateTime);
    if (Number.isNaN(when.getTime())) continue;
    time.textContent = DATE.format(when);
    time.dataset.local = "";
  }
}

/** Shows the buttons that copy, and those that choose how times are written: without this script they do nothing. */
function showButtons(within) {
  for (const hidden of within.querySelectorAll("button[data-copy][hidden], form.times[hidden]")) hidden.hidden = false;
}

/** Shows the present page's name where the navigation is wider than the window. */
function showWhere() {
  document.querySelector("#pages [aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" });
}

function enliven(within) {
  localise(within);
  showButtons(within);
}

async function copy(button) {
  const told = document.getElementById("copied");
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
    button.classList.add("done");
    setTimeout(() => button.classList.remove("done"), 1200);
    if (told) told.textContent = `Copied ${button.dataset.copy}`;
  } catch {
    const range = document.createRange();
    range.selectNodeContents(button.parentElement.querySelector("code"));
    getSelection().removeAllRanges();
    getSelection().addRange(range);
    if (told) told.textContent = "Selected. Press Ctrl+C to copy.";
  }
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-copy]");
  if (button) copy(button);
});

// An error that follows a link or a form is shown. One of a page that refreshes itself leaves the page as it is.
document.addEventListener("htmx:beforeSwap", (event) => {
  if (event.detail.boosted && event.detail.xhr.status >= 400) event.detail.shouldSwap = true;
});

document.addEventListener("htmx:afterSettle", (event) => {
  enliven(document);
  if (event.detail.boosted) {
    showWhere();
    scrollTo(0, 0);
    const wrong = document.querySelector("#main [aria-invalid='true']");
    (wrong ?? document.getElementById("main"))?.focus({ preventScroll: !wrong });
  }
});

enliven(document);
showWhere();

// Runs before the page is drawn, so that it never flashes in the other colours. No module, since modules come later.
try {
  document.documentElement.dataset.theme = localStorage.getItem("theme") ?? "auto";
} catch {
  document.documentElement.dataset.theme = "auto"; // nothing may be kept here: as the system has it
}

// Chosen colours hold before the page is first painted; none chosen means the system's.
const chosen = localStorage.getItem("clickagg.theme");
if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;

// The numbers of a table as a file, which the browser makes of what the page shows.
(function () {
  "use strict";

  const NUMBER = /^-?\d{1,3}(,\d{3})*(\.\d+)?(\s?%)?$/;

  // a number without the commas between its thousands; what is not known is empty
  const value = (cell) => {
    // how many people a rate of few is of stands in the page alone: a column of numbers stays one
    const shown = cell.cloneNode(true);
    for (const few of shown.querySelectorAll("small")) few.remove();
    const text = shown.textContent.replace(/\s+/g, " ").trim();
    if (text === "–") return "";
    if (NUMBER.test(text)) return text.replace(/[, ]/g, "");
    // a spreadsheet would run a text that begins like this
    return /^[=+\-@]/.test(text) ? `'${text}` : text;
  };

  const quoted = (text) => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);

  const rows = (table) =>
    [...table.rows].map((row) => [...row.cells].filter((cell) => !cell.matches(".action")).map(value));

  // the title, the name of the chart, and the days and the country where the page has them
  const name = (button) => {
    const { title, from, to, country } = document.getElementById("switches").elements;
    const words = [button.closest("section").querySelector("h2").textContent];
    if (!title.closest("[hidden]")) words.unshift(title.value);
    if (!from.closest("[hidden]")) words.push(from.value, "to", to.value);
    if (!country.closest("[hidden]")) words.push(country.value);
    return words.join("-").toLowerCase().replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-|-$/g, "");
  };

  document.addEventListener("click", (event) => {
    const button = event.target.closest("button.csv");
    if (!button) return;
    const lines = rows(button.closest(".numbers").querySelector("table"));
    // with a mark at the begin, by which spreadsheets know that it is UTF-8
    const text = `\ufeff${lines.map((cells) => cells.map(quoted).join(",")).join("\r\n")}\r\n`;
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: "text/csv;charset=utf-8" }));
    link.download = `${name(button)}.csv`;
    link.click();
    URL.revokeObjectURL(link.href);
  });
})();

// Search without a server: a page from disk may load scripts, and nothing else. So the index is a script.
document.addEventListener("DOMContentLoaded", () => {
  const field = document.getElementById("properdocs-search-query");
  const results = document.getElementById("properdocs-search-results");
  const most = 30;

  // a plural finds its singular, too
  const words = (text) =>
    text.toLowerCase().split(/\s+/).filter(Boolean).map((word) => word.replace(/(\w{3})s$/, "$1"));

  // Sections with all words; those that have them in the title come first, then those that have more of them.
  function found(sections, query) {
    const asked = words(query);
    const scored = sections.map((section) => {
      const [title, text] = [section.title.toLowerCase(), section.text.toLowerCase()];
      let score = 0;
      for (const word of asked) {
        const inTitle = title.includes(word), times = text.split(word).length - 1;
        if (!inTitle && !times) return { score: 0 };
        score += (inTitle ? 20 : 0) + (title === word ? 20 : 0) + Math.min(times, 10);
      }
      return { score, section };
    });
    return scored.filter((one) => one.score).sort((a, b) => b.score - a.score).map((one) => one.section);
  }

  // the words around the first of those that were asked for
  function excerpt(text, query) {
    const at = Math.max(0, text.toLowerCase().indexOf(words(query)[0]));
    const from = at < 80 ? 0 : text.indexOf(" ", at - 60);
    return (from > 0 ? "… " : "") + text.slice(from, from + 200).trim() + (text.length > from + 200 ? " …" : "");
  }

  function show() {
    const query = field.value.trim();
    results.replaceChildren();
    if (query.length < 2 || !window.searchSections) return;
    const sections = found(window.searchSections, query);
    const count = document.createElement("p");
    count.textContent =
      sections.length > most ? `The first ${most} of ${sections.length}` : `${sections.length || "Nothing"} found`;
    results.append(count);
    for (const section of sections.slice(0, most)) {
      const [title, link, text] = ["h3", "a", "p"].map((name) => document.createElement(name));
      link.href = `${base_url}/${section.location}`;
      link.textContent = section.page ? `${section.page}: ${section.title}` : section.title;
      text.textContent = excerpt(section.text, query);
      title.append(link);
      results.append(title, text);
    }
  }

  results.setAttribute("aria-live", "polite");
  field.form.addEventListener("submit", (event) => event.preventDefault());
  field.addEventListener("input", show);
  document.getElementById("properdocs_search_modal").addEventListener("show.bs.modal", () => {
    if (window.searchSections) return;
    const index = document.createElement("script");
    index.src = `${base_url}/search/sections.js`;
    index.addEventListener("load", show);
    document.head.append(index);
  }, { once: true });
});

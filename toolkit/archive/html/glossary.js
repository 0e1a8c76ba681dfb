"use strict";
(() => {
  const fold = (text) => text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
  const entries = [...document.querySelectorAll("article")].map((article) => [article, fold(article.textContent)]);
  const query = document.getElementById("query");
  const count = document.getElementById("count");
  const search = () => {
    const words = fold(query.value).split(/\s+/).filter(Boolean);
    let found = 0;
    for (const [article, text] of entries) {
      article.hidden = !words.every((word) => text.includes(word));
      found += article.hidden ? 0 : 1;
    }
    for (const section of document.querySelectorAll("section.role")) {
      section.hidden = !section.querySelector("article:not([hidden])");
    }
    count.textContent = words.length ? `${found} of ${entries.length}` : "";
  };
  query.addEventListener("input", search);
  query.closest(".search").hidden = false;
  search();
})();

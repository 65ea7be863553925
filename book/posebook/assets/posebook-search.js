// Search results quote a page's own text: its article, without menus, code of figures and the links of tables.
"use strict";
(() => {
  const whole = Search.htmlToText;
  const CHROME = ".pk-figure, .pk-overview, .pk-sources, .pk-source, .copybtn, .headerlink";
  Search.htmlToText = (text, anchor) => {
    const article = new DOMParser().parseFromString(text, "text/html").querySelector("article.bd-article");
    if (!article) return whole(text, anchor);
    article.querySelectorAll(CHROME).forEach((element) => element.remove());
    article.setAttribute("role", "main");
    return whole(article.outerHTML, anchor);
  };
})();

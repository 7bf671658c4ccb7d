// Excerpts of search results come from page_texts.js: a page from disk may not load another one.
window.fetch = (address) => Promise.resolve({ text: () => address });

Search.htmlToText = (address, anchor) => {
  const name = address.replace(/^.\//, "").replace(/\.html$/, "");
  const sections = PAGES[name] ?? [];
  const start = sections.findIndex(([id]) => anchor && `#${id}` === anchor);
  return sections.slice(Math.max(start, 0)).map(([, text]) => text).join(" ");
};

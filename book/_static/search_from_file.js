// Browsers let no page opened from a file:// address fetch another one, so there the search shows
// the titles it found without an excerpt of each page.
DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = location.protocol !== "file:";

"""The numbers of a run, as terminal tables and as one HTML page. Reads run directories; changes nothing in them."""

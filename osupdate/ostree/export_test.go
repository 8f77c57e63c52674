package ostree

// For the golden and fuzz tests.
var (
	ParseText   = parseText
	ParseJSON   = parseJSON
	ParseEntry  = parseEntry
	FindVersion = findVersion
)

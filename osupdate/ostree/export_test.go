package ostree

import "github.com/tbx-project/tbx/osupdate/ostreefamily"

// For the golden and fuzz tests.
var (
	ParseText   = parseText
	ParseJSON   = parseJSON
	ParseEntry  = ostreefamily.ParseEntry
	FindVersion = findVersion
)

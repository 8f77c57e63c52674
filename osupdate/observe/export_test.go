package observe

import "github.com/tbx-project/tbx/osupdate"

// ParseSlots is for the fuzz test.
var ParseSlots = func(data []byte) (*osupdate.State, error) { return parseSlots(data, osupdate.RAUC) }

package transactional

import (
	"time"

	"github.com/tbx-project/tbx/osupdate"
)

// Parse is for the fuzz test.
var Parse = func(data []byte) (*osupdate.State, error) { return parse(string(data), time.Time{}) }

package bootc

import "github.com/tbx-project/tbx/osupdate"

// Parse and ReadProgress are for the fuzz targets.
func Parse(data []byte) (*osupdate.State, error) {
	a, err := parse(data)
	if err != nil {
		return nil, err
	}
	return a.state, nil
}

var ReadProgress = readProgress

package integration

import "github.com/tbx-project/tbx/toolbox/boxinit"

// Home is the key of the home directory.
const Home = "home"

var home = Integration{
	Key: Home, What: "the home directory",
	How: "mounted at its own path; `--home DIR` mounts another directory there",
	Mounts: func(f *Facts) []Mount {
		why := "your home"
		if f.OwnHome {
			why = "the home of this toolbox alone"
		}
		return []Mount{bind(Home, f.Home, f.HomeAt, why)}
	},
	Setup: func(f *Facts, c *boxinit.Config) {
		if !f.OwnHome {
			c.HomeOnHost = f.HomeAt
		}
	},
}

package packages

import (
	"strings"
	"time"
)

// Release is which release of a distribution a system is.
type Release struct {
	ID      string `json:"id"`                // of os-release(5)
	Version string `json:"version,omitempty"` // VERSION_ID; empty for one that rolls
	Name    string `json:"name"`              // for people
	Ends    string `json:"support_ends,omitempty"`
	Over    bool   `json:"unsupported,omitempty"`
}

// supportEnds is the last day with security updates for everybody. Debian and Ubuntu:
// debian.csv (eol-lts) and ubuntu.csv (eol) of Debian's distro-info-data 0.58+deb12u6;
// Alpine: alpinelinux.org/releases. Fedora and others say it themselves, SUPPORT_END.
var supportEnds = map[string]string{
	"debian 8": "2020-06-30", "debian 9": "2022-06-30", "debian 10": "2024-06-30", "debian 11": "2026-08-31",
	"debian 12": "2028-06-30", "debian 13": "2030-06-30",
	"ubuntu 18.04": "2023-05-31", "ubuntu 20.04": "2025-05-29", "ubuntu 22.04": "2027-06-01", "ubuntu 23.10": "2024-07-11",
	"ubuntu 24.04": "2029-05-31", "ubuntu 24.10": "2025-07-10", "ubuntu 25.04": "2026-01-15", "ubuntu 25.10": "2026-07-09",
	"ubuntu 26.04": "2031-05-29",
	"alpine 3.18":  "2025-05-09", "alpine 3.19": "2025-11-01", "alpine 3.20": "2026-04-01", "alpine 3.21": "2026-11-01",
	"alpine 3.22": "2027-05-01",
}

// ReleaseOf says which release a system is, and whether it still gets updates at now.
// What it does not know is not said to be over.
func ReleaseOf(os map[string]string, now time.Time) Release {
	r := Release{ID: os["ID"], Version: os["VERSION_ID"], Name: os["PRETTY_NAME"]}
	if r.Name == "" {
		r.Name = strings.TrimSpace(r.ID + " " + r.Version)
	}
	r.Ends = os["SUPPORT_END"]
	if r.Ends == "" {
		version := r.Version
		if f := strings.Split(version, "."); r.ID == "alpine" && len(f) > 2 {
			version = f[0] + "." + f[1]
		}
		r.Ends = supportEnds[r.ID+" "+version]
	}
	end, err := time.Parse(time.DateOnly, r.Ends)
	if err != nil {
		r.Ends = ""
		return r
	}
	r.Over = now.After(end.Add(24 * time.Hour))
	return r
}

package bootc

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf16"

	"github.com/tbx-project/tbx/internal/pattern"
	"github.com/tbx-project/tbx/osupdate"
)

// loaderVendor is the vendor of the variables of the Boot Loader Interface.
const loaderVendor = "4a67b082-0a4c-41cf-b6c7-440b29bb8c4f"

// bootedByFirmware is the id of the system that the boot loader takes by default, by
// its variables LoaderEntryDefault and LoaderEntrySelected: the Boot Loader
// Interface of systemd. Empty where they say nothing.
func bootedByFirmware(root string, s *osupdate.State) string {
	dflt, selected := loaderVariable(root, "LoaderEntryDefault"), loaderVariable(root, "LoaderEntrySelected")
	if dflt == "" {
		return "" // the loader sorts the entries itself
	}
	for i := range s.Deployments {
		d := &s.Deployments[i]
		if d.Booted && dflt == selected || len(d.Checksum) >= 64 && strings.Contains(dflt, d.Checksum) {
			return d.ID
		}
	}
	return ""
}

// loaderVariable reads a variable: four bytes of attributes, then UTF-16.
func loaderVariable(root, name string) string {
	data, err := os.ReadFile(filepath.Join(root, "sys/firmware/efi/efivars", name+"-"+loaderVendor))
	if err != nil || len(data) < 6 {
		return ""
	}
	var units []uint16
	for i := 4; i+1 < len(data); i += 2 {
		units = append(units, binary.LittleEndian.Uint16(data[i:]))
	}
	return strings.TrimRight(string(utf16.Decode(units)), "\x00")
}

var (
	colour     = pattern.Lazy("\x1b\\[[0-9;]*m")
	configLine = pattern.Lazy(`^(Added|Modified|Removed) "?(.*?)"?$`)
)

// parseConfigDiff reads `bootc config-diff`, which colours its words into a pipe too:
// `Modified "lab.conf"`.
func parseConfigDiff(out string) ([]string, error) {
	var list []string
	for line := range strings.Lines(out) {
		line = strings.TrimSpace(colour().ReplaceAllString(line, ""))
		if line == "" {
			continue
		}
		m := configLine().FindStringSubmatch(line)
		if m == nil {
			return nil, fmt.Errorf("%q is no changed file", line)
		}
		kind := m[1][:1]
		if m[1] == "Removed" {
			kind = "D"
		}
		list = append(list, kind+" "+m[2])
	}
	slices.Sort(list)
	return list, nil
}

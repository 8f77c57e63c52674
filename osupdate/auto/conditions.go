package auto

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// firmBattery is the charge in percent below which nothing is fetched, whatever the
// deadline.
const firmBattery = 10

// Conditions says what speaks against fetching an update now; firm is whether one of them
// holds when the deadline has passed too. What cannot be asked speaks against nothing.
func Conditions(ctx context.Context, root string, s *Settings, bus Bus) (blocks []string, firm bool) {
	if charge, on := onBattery(root); on && charge < s.BatteryPercent {
		blocks = append(blocks, fmt.Sprintf("the machine runs on its battery, at %d percent", charge))
		firm = charge < firmBattery
	}
	if !s.Metered {
		if metered, err := bus.Metered(ctx); err == nil && metered {
			blocks = append(blocks, "the network is metered")
			firm = true // a person pays for it, and has not allowed it
		}
	}
	for _, p := range []struct{ file, of string }{{"cpu", "processors are"}, {"io", "disks are"}} {
		if n, ok := pressure(root, p.file); ok && s.PressurePercent > 0 && n >= float64(s.PressurePercent) {
			blocks = append(blocks, fmt.Sprintf("the %s busy: others waited for %.0f percent of the last minute", p.of, n))
		}
	}
	sysroot := filepath.Join(root, "sysroot")
	if _, err := os.Stat(sysroot); errors.Is(err, os.ErrNotExist) {
		sysroot = root
	}
	var fs unix.Statfs_t
	if s.FreeMegabytes > 0 && unix.Statfs(sysroot, &fs) == nil {
		if free := fs.Bavail * uint64(fs.Bsize) / 1e6; free < uint64(s.FreeMegabytes) {
			blocks = append(blocks, fmt.Sprintf("%s has %d MB free, of %d that an update may need", sysroot, free, s.FreeMegabytes))
		}
	}
	return blocks, firm
}

// onBattery is the lowest charge of the system's own batteries in percent, and whether
// the machine runs on them, power_supply of sysfs(5). The battery of a mouse is none of
// the system's.
func onBattery(root string) (charge int, on bool) {
	supplies, err := filepath.Glob(filepath.Join(root, "sys/class/power_supply/*"))
	if err != nil {
		return 0, false
	}
	charge = 101
	for _, dir := range supplies {
		read := func(name string) string {
			data, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil {
				return ""
			}
			return strings.TrimSpace(string(data))
		}
		if read("scope") == "Device" {
			continue
		}
		switch read("type") {
		case "Mains", "USB":
			if read("online") == "1" {
				return 0, false
			}
		case "Battery":
			n, err := strconv.Atoi(read("capacity"))
			if err != nil || read("present") == "0" {
				continue
			}
			on = on || read("status") == "Discharging"
			charge = min(charge, n)
		}
	}
	return charge, on && charge <= 100
}

// pressure is how much of the last minute somebody waited for it, in percent: the line
// "some" of proc_pressure; a kernel without it says nothing.
func pressure(root, of string) (float64, bool) {
	data, err := os.ReadFile(filepath.Join(root, "proc/pressure", of))
	if err != nil {
		return 0, false
	}
	for line := range strings.Lines(string(data)) {
		fields := strings.Fields(line)
		if len(fields) < 3 || fields[0] != "some" {
			continue
		}
		for _, f := range fields[1:] {
			if v, ok := strings.CutPrefix(f, "avg60="); ok {
				n, err := strconv.ParseFloat(v, 64)
				return n, err == nil
			}
		}
	}
	return 0, false
}

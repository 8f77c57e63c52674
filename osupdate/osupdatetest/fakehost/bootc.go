package fakehost

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// image takes the scheme off an origin: what bootc shows.
func image(origin string) string {
	for _, scheme := range []string{"ostree-unverified-registry:", "ostree-image-signed:docker://", archive} {
		origin = strings.TrimPrefix(origin, scheme)
	}
	return origin
}

const archive = "ostree-unverified-image:oci-archive:"

// imageObject is an image as bootc shows it.
func imageObject(origin string) map[string]any {
	o := map[string]any{"image": image(origin), "transport": "registry"}
	switch {
	case strings.HasPrefix(origin, archive):
		o["transport"] = "oci-archive"
	case strings.HasPrefix(origin, "ostree-image-signed:"):
		o["signature"] = "containerPolicy"
	}
	return o
}

// bootc has the words of 1.16.9.
func bootc(h *Host, args []string) (string, int) {
	flags := slices.DeleteFunc(slices.Clone(args[1:]), func(a string) bool { return strings.HasPrefix(a, "--progress-fd") })
	line := strings.Join(append([]string{args[0]}, flags...), " ")
	spec := h.spec()
	switch {
	case line == "--version":
		return "bootc 1.16.9\n", 0
	case strings.HasPrefix(line, "status "):
		return h.bootcStatus(), 0
	case line == "upgrade --check" && h.Running().Own: // stages what was pulled before: nobody may call it
		return unexpected(h, "bootc", args)
	case line == "delete-deployment --help":
		if h.Running().Own {
			return "Usage: bootc delete-deployment <DEPLOYMENT_ID>\n", 0
		}
		return "error: unrecognized subcommand\n", 2
	case args[0] == "delete-deployment" && len(args) == 2:
		return h.deleteDeployment(args[1])
	case line == "upgrade --check":
		for _, d := range h.Deployments {
			if (d.Staged || d.ID() == h.Booted) && d.Version == h.Newest[spec] && d.Follows == spec {
				return "No changes in: docker://" + image(spec) + "\n", 0
			}
		}
		return fmt.Sprintf("Update available for: docker://%s\n  Version: %s\n  Digest: %s\n", image(spec), h.Newest[spec], Digest(h.Newest[spec])), 0
	case line == "upgrade --from-downloaded":
		if !h.Deployments[0].Staged {
			return "error: Upgrading: No staged deployment found\n", 1
		}
		h.Deployments[0].Locked = false
		return "", 0
	case line == "upgrade" || line == "upgrade --download-only":
		return h.bootcUpgrade(spec, line != "upgrade"), 0
	case args[0] == "switch" && slices.Contains(args, "oci-archive"):
		d := *h.Running()
		d.Follows, d.Version = archive+args[len(args)-1], "9"
		h.stage(d)
		return "Queued for next boot: oci-archive:" + args[len(args)-1] + "\n", 0
	case args[0] == "switch":
		to := "ostree-unverified-registry:" + args[len(args)-1]
		if slices.Contains(args, "--enforce-container-sigpolicy") {
			to = "ostree-image-signed:docker://" + args[len(args)-1]
		}
		if _, ok := h.Newest[to]; !ok {
			return "error: Switching: reading manifest: manifest unknown\n", 1
		}
		d := *h.Running()
		d.Follows, d.Version = to, h.Newest[to]
		h.stage(d)
		return "Queued for next boot: " + image(to) + "\n", 0
	case line == "rollback":
		return h.bootcRollback()
	case line == "usr-overlay":
		h.Running().Unlocked = true
		return "", 0
	case line == "loader-entries --help":
		return "", 2
	}
	return unexpected(h, "bootc", args)
}

// spec is what an upgrade follows: the staged system's source, else the running one's.
func (h *Host) spec() string {
	if h.Deployments[0].Staged {
		return h.Deployments[0].Follows
	}
	return h.Running().Follows
}

func (h *Host) bootcUpgrade(spec string, downloadOnly bool) string {
	words := fmt.Sprintf("No changes in %s => %s\n", image(spec), Digest(h.Newest[spec]))
	if h.Running().Own {
		words = "No changes in: " + image(spec) + "\n"
		for i := range h.Deployments {
			if d := &h.Deployments[i]; d.Version == h.Newest[spec] && d.Follows == spec {
				if d.Staged && !downloadOnly { // as recorded: the lock goes
					d.Locked = false
				}
				return words
			}
		}
		words = ""
	}
	for _, d := range h.Deployments {
		switch {
		case d.Version != h.Newest[spec] || d.Follows != spec:
		case d.Staged:
			return words + "Staged update present, not changed\n"
		case d.ID() == h.Booted:
			return words + "No update available.\n"
		}
	}
	d := *h.Running()
	d.Follows, d.Version = spec, h.Newest[spec]
	h.stage(d)
	h.Deployments[0].Locked = downloadOnly
	return words + "Queued for next boot: " + image(spec) + "\n"
}

func (h *Host) deleteDeployment(verity string) (string, int) {
	i := slices.IndexFunc(h.Deployments, func(d Deployment) bool { return d.Checksum() == verity })
	switch {
	case i < 0:
		return "error: Deleting composefs deployment: not found\n", 1
	case h.Deployments[i].ID() == h.Booted:
		return "error: Cannot delete currently booted deployment\n", 1
	}
	h.Deployments = slices.Delete(h.Deployments, i, i+1)
	return "", 0
}

// bootcRollback is a toggle of the boot order, and drops what is staged.
func (h *Host) bootcRollback() (string, int) {
	h.Deployments = slices.DeleteFunc(h.Deployments, func(d Deployment) bool { return d.Staged })
	at := slices.IndexFunc(h.Deployments, func(d Deployment) bool { return d.ID() == h.Booted })
	if at > 0 {
		h.first(at)
		return "notice: Reverting queued rollback state\nNext boot: current deployment\n", 0
	}
	if len(h.Deployments) < 2 {
		return "error: Rollback: Rollback (ostree): No rollback available\n", 1
	}
	h.first(1)
	return "Next boot: rollback deployment\n", 0
}

func (h *Host) bootcStatus() string {
	type object = map[string]any
	entry := func(d *Deployment) any {
		if d == nil {
			return nil
		}
		o := object{
			"image": object{
				"image": imageObject(d.Follows), "imageDigest": Digest(d.Version), "version": d.Version, "timestamp": "2026-11-0" + d.Version[:1] + "T22:07:29.976123724Z",
			},
			"cachedUpdate": nil, "incompatible": len(d.Layered) > 0, "pinned": d.Pinned, "downloadOnly": d.Locked, "softRebootCapable": true, "store": "ostreeContainer", "composefs": nil,
			"ostree": object{"checksum": d.Checksum(), "deploySerial": d.Serial, "stateroot": d.Root},
		}
		if d.Own {
			o["ostree"], o["store"], o["composefs"] = nil, nil, object{"verity": d.Checksum(), "bootType": "Bls", "bootloader": "systemd"}
		}
		return o
	}
	var staged, booted, rollback *Deployment
	var others []any
	bootedAt, rollbackAt := 0, 0
	for i := range h.Deployments {
		d := &h.Deployments[i]
		switch {
		case d.Staged:
			staged = d
		case d.ID() == h.Booted:
			booted, bootedAt = d, i
		case rollback == nil:
			rollback, rollbackAt = d, i
		default:
			others = append(others, entry(d))
		}
	}
	var overlay any
	if booted.Unlocked {
		overlay = object{"accessMode": "readWrite", "persistence": "transient"}
	}
	data, _ := json.Marshal(object{ // plain data
		"apiVersion": "org.containers.bootc/v1", "kind": "BootcHost", "spec": object{"bootOrder": "default", "image": imageObject(h.spec())},
		"status": object{
			"staged": entry(staged), "booted": entry(booted), "rollback": entry(rollback), "otherDeployments": others,
			"rollbackQueued": rollback != nil && rollbackAt < bootedAt, "usrOverlay": overlay, "type": "bootcHost",
		},
	})
	return string(data)
}

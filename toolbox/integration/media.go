package integration

// Media is the key of disks that come and go.
const Media = "media"

var media = Integration{
	Key: Media, What: "disks below /media, /mnt and /run/media",
	How:           "`/media`, `/mnt`, `/run/media` and `/var/mnt` are bound from the host view (h); disks that come later appear",
	NeedsHostView: true,
	Binds:         []string{"/media", "/mnt", "/run/media", "/var/mnt"},
}

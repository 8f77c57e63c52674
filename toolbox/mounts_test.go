package toolbox

import (
	"reflect"
	"strings"
	"testing"

	"github.com/tbx-project/tbx/toolbox/boxinit"
)

// D10: what the host has mounted below what is shared, and the toolbox has not.
func TestD10_LackingMounts(t *testing.T) {
	host := parseMounts(`22 1 8:1 / / rw - ext4 /dev/sda1 rw
30 22 8:2 / /home/dev/disk rw - ext4 /dev/sdb1 rw
31 30 8:3 / /home/dev/disk/below rw - ext4 /dev/sdc1 rw
32 22 0:50 / /home/dev/f\040m rw,nosuid - fuse.sshfs h: rw
33 22 0:51 / /tmp/x rw - tmpfs x rw
34 22 8:1 /srv/real /home/dev/bound rw - ext4 /dev/sda1 rw
35 22 8:4 / /home/dev/.local/share/containers rw - ext4 /dev/sdd1 rw
36 22 8:5 / /srv/data/v rw - ext4 /dev/sde1 rw
37 22 8:6 / /home/other/disk rw - ext4 /dev/sdf1 rw
38 22 0:60 / /run/user/1000/doc rw - fuse.portal portal rw
39 22 8:7 / /opt/plain/v rw - ext4 /dev/sdg1 rw
40 22 8:8 / /home/devel rw - ext4 /dev/sdh1 rw
41 22 8:9 / /tmp rw - tmpfs tmp rw
42 22 8:1 /home/dev/gone//deleted /home/dev/mnt rw - ext4 /dev/sda1 rw
`)
	b := &Box{Spec: &Spec{Volumes: []string{"/srv/data:/data", "/opt/plain:/plain:bind"}}, Container: Container{Mounts: []Mapping{
		{Source: "/home/dev", Target: "/home/dev"}, {Source: "/tmp", Target: "/tmp"}, {Source: "/run/user/1000", Target: "/run/user/1000"}, {Source: "/srv/data", Target: "/data"}, {Source: "/opt/plain", Target: "/plain"}, {Source: "/", Target: boxinit.HostView}, {Source: "/home/dev/.local/share/tbx/box", Target: boxinit.BoxDir},
	}}}
	inside := parseMounts(`50 1 0:99 / / rw - overlay overlay rw
51 50 8:1 /home/dev /home/dev rw - ext4 /dev/sda1 rw
52 50 0:51 / /tmp/x rw - tmpfs x rw
53 51 8:1 /srv/real2 /home/dev/bound rw - ext4 /dev/sda1 rw
`)
	own := []boxinit.Place{{Path: "/home/dev/.local/share/containers"}}
	want := []boxinit.Attach{
		{Host: "/home/dev/disk", Path: "/home/dev/disk"},
		{Host: "/home/dev/f m", Path: "/home/dev/f m"},
		{Host: "/home/dev/bound", Path: "/home/dev/bound"},
		{Host: "/srv/data/v", Path: "/data/v"},
		{Host: "/run/user/1000/doc", Path: "/run/user/1000/doc"},
	}
	if got := lacking(b, host, inside, own); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	for _, a := range want {
		for _, h := range host {
			if below, ok := strings.CutPrefix(h.point, a.Host); ok { // they come with it
				inside = append(inside, mountPoint{h.dev, h.root, a.Path + below})
			}
		}
	}
	if got := lacking(b, host, inside, own); len(got) > 0 {
		t.Errorf("attached, and lacking still: %v", got)
	}
}

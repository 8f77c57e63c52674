package userns

import "testing"

// D7: a caller in a user namespace of its own is seen by the ids that it has.
func TestD7_LacksIDs(t *testing.T) {
	const subuid = "other:100000:65536\ndev:165536:65536\n"
	for _, c := range []struct {
		name, uidMap, subuid string
		want                 bool
	}{
		{"the machine's", "         0          0 4294967295\n", subuid, false},
		{"the machine's, no range", "0 0 4294967295\n", "", false},
		{"PrivateTmp in a user unit", "      1000       1000          1\n", subuid, true},
		{"PrivateUsers", "0 0 1\n1000 1000 1\n", subuid, true},
		{"PrivateUsers, no range", "0 0 1\n1000 1000 1\n", "other:1:2\n", true},
		{"identity", "0 0 65536\n", subuid, true},
		{"a system container with ids", "0 100000 1000000\n", subuid, false},
		{"a system container without", "0 100000 65536\n", "dev:100000:65536\n", true},
		{"by number", "0 0 300000\n", "1000:200000:65536\n", false},
		{"one of two ranges", "0 0 300000\n", "dev:900000:65536\n1000:200000:65536\n", false},
		{"not to be understood", "", subuid, false},
	} {
		if got := LacksIDs(c.uidMap, c.subuid, "dev", 1000); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

// D7: root in a namespace of a user's own is no root of the machine.
func TestD7_FakeRoot(t *testing.T) {
	for uidMap, want := range map[string]bool{
		"         0          0 4294967295\n": false, "0 1000 1\n": true, "0 1000 1\n1 100000 65536\n": true,
		"0 100000 65536\n": false, "1000 1000 1\n": false, "": false, "0 0 1\n1000 1000 1\n": false,
	} {
		if got := FakeRoot(uidMap); got != want {
			t.Errorf("%q: %v", uidMap, got)
		}
	}
}

func TestHasRange(t *testing.T) {
	const file = "# comment\njane:100000:65536\n1001:200000:65536\n"
	for _, c := range []struct {
		user string
		uid  int
		want bool
	}{{"jane", 1, true}, {"bob", 1001, true}, {"ja", 1, false}, {"bob", 100, false}, {"", 1, false}} {
		if got := HasRange(file, c.user, c.uid); got != c.want {
			t.Errorf("%s (%d): %v", c.user, c.uid, got)
		}
	}
}

// TestD95_Unused: the ids that are proposed are nobody else's, in neither file.
func TestD95_Unused(t *testing.T) {
	for _, c := range []struct {
		subuid, subgid string
		want           int
	}{
		{"", "", 100000},
		{"alice:100000:65536\n", "alice:100000:65536\n", 165536},
		{"alice:100000:65536\n1001:231072:65536\nbob:165536:65536\n", "", 296608},
		{"low:1000:10\n# x:1\nbad:y:z\n", "alice:100000:65536\ncarol:500000:1000000\n", 1500000},
	} {
		if got := Unused(c.subuid, c.subgid); got != c.want {
			t.Errorf("%+v: %d", c, got)
		}
	}
}

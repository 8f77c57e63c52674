package sysupdate

// ParseList is for the fuzz test.
func ParseList(data []byte) ([]string, error) {
	versions, _, err := parseList(data)
	return versions, err
}

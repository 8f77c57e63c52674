package main

import (
	"encoding/xml"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/tbx-project/tbx/osupdate"
	"github.com/tbx-project/tbx/osupdate/privileged"
)

const polkitHead = `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE policyconfig PUBLIC "-//freedesktop//DTD PolicyKit Policy Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/PolicyKit/1/policyconfig.dtd">
<!-- Written by go generate ./cmd/gen from the table of verbs in osupdate/verbtable.go.
     pkexec chooses the action by the program and its first argument (pkexec(1)).
     Reading is free, an upgrade from the configured source is free for whoever sits
     at the machine, everything else is the administrator's. -->
<policyconfig>
  <vendor>tbx</vendor>
`

const polkitAction = `  <action id="dev.tbx.host.%s">
    <description>%s</description>
    <message>Authentication is required: %s</message>
    <defaults>
      <allow_any>%s</allow_any>
      <allow_inactive>%s</allow_inactive>
      <allow_active>%s</allow_active>
    </defaults>
    <annotate key="org.freedesktop.policykit.exec.path">/usr/bin/tbx</annotate>
    <annotate key="org.freedesktop.policykit.exec.argv1">%s</annotate>
  </action>
`

// polkitPolicy is the text of packaging/polkit/dev.tbx.host.policy.
func polkitPolicy() string {
	var b strings.Builder
	b.WriteString(polkitHead)
	for _, row := range osupdate.Table() {
		for _, a := range row.Actions {
			message := a.Message
			if message == "" {
				message = strings.ToLower(a.Description[:1]) + a.Description[1:]
			}
			fmt.Fprintf(&b, polkitAction, a.Name, escapeXML(a.Description), escapeXML(message),
				a.Anybody, a.Anybody, a.Active, privileged.Prefix+a.Name)
		}
	}
	b.WriteString("</policyconfig>\n")
	return b.String()
}

func escapeXML(text string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(text)) // a strings.Builder takes everything
	return b.String()
}

func polkitFile(root string) string {
	return filepath.Join(root, "packaging/polkit/dev.tbx.host.policy")
}

func writePolkit(root string) error {
	return os.WriteFile(polkitFile(root), []byte(polkitPolicy()), 0o644)
}

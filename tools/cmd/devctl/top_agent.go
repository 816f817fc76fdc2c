package main

import (
	"fmt"

	"github.com/hashicorp/nomad/api"
	"github.com/spf13/pflag"
)

// agentOptions say which agent to ask, by the flags of Nomad's own commands.
type agentOptions struct {
	node                                  string
	address, region, token                string
	inNamespace                           string
	caCert, caPath, clientCert, clientKey string
	serverName                            string
	skipVerify                            bool
	names                                 []string
}

func (o *agentOptions) add(f *pflag.FlagSet) {
	text := func(at *string, name, usage string) {
		f.StringVar(at, name, "", usage)
		o.names = append(o.names, name)
	}
	text(&o.node, "node", "with --nomad: the `node` to show, by its name or ID; the agent's own if left out")
	text(&o.address, "address", "with --nomad: the agent's `URL` (NOMAD_ADDR, or http://127.0.0.1:4646)")
	text(&o.region, "region", "with --nomad: the `region` to ask (NOMAD_REGION)")
	text(&o.inNamespace, "namespace", "with --nomad: name the tasks of this `namespace` only (NOMAD_NAMESPACE, or all)")
	text(&o.token, "token", "with --nomad: the ACL `token` (NOMAD_TOKEN)")
	text(&o.caCert, "ca-cert", "with --nomad: `file` with the CA's certificate (NOMAD_CACERT)")
	text(&o.caPath, "ca-path", "with --nomad: `directory` with CAs' certificates (NOMAD_CAPATH)")
	text(&o.clientCert, "client-cert", "with --nomad: `file` with the client's certificate (NOMAD_CLIENT_CERT)")
	text(&o.clientKey, "client-key", "with --nomad: `file` with the client's key (NOMAD_CLIENT_KEY)")
	text(&o.serverName, "tls-server-name", "with --nomad: the `name` that the agent's certificate is to have (NOMAD_TLS_SERVER_NAME)")
	f.BoolVar(&o.skipVerify, "tls-skip-verify", false, "with --nomad: do not verify the agent's certificate (NOMAD_SKIP_VERIFY)")
	o.names = append(o.names, "tls-skip-verify")
}

// given returns the first of the flags that is on the command line, or "".
func (o *agentOptions) given(f *pflag.FlagSet) string {
	for _, name := range o.names {
		if f.Changed(name) {
			return name
		}
	}
	return ""
}

// config is the client's configuration: Nomad's variables, and the flags over them.
func (o *agentOptions) config() *api.Config {
	config := api.DefaultConfig()
	for _, flag := range []struct {
		value string
		into  *string
	}{
		{o.address, &config.Address},
		{o.region, &config.Region},
		{o.inNamespace, &config.Namespace},
		{o.token, &config.SecretID},
		{o.caCert, &config.TLSConfig.CACert},
		{o.caPath, &config.TLSConfig.CAPath},
		{o.clientCert, &config.TLSConfig.ClientCert},
		{o.clientKey, &config.TLSConfig.ClientKey},
		{o.serverName, &config.TLSConfig.TLSServerName},
	} {
		if flag.value != "" {
			*flag.into = flag.value
		}
	}
	config.TLSConfig.Insecure = config.TLSConfig.Insecure || o.skipVerify
	return config
}

func (o *agentOptions) client() (*api.Client, error) {
	client, err := api.NewClient(o.config())
	if err != nil {
		return nil, fmt.Errorf("the way to the Nomad agent: %w", err)
	}
	return client, nil
}

// namespace is the one whose tasks are to be named; "" is all.
func (o *agentOptions) namespace() string { return o.config().Namespace }

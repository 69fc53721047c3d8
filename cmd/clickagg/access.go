package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/clickagg/clickagg/config"
	"github.com/clickagg/clickagg/internal/access"
	"github.com/clickagg/clickagg/internal/api"
	"github.com/clickagg/clickagg/internal/api/client"
	"github.com/clickagg/clickagg/internal/reread"
	"github.com/clickagg/clickagg/internal/secure"
)

// apiConfig says where the API listens, and who may ask it.
func apiConfig(cfg config.Config, logger *zap.Logger) (c api.Config, err error) {
	zone, _ := time.LoadLocation(cfg.Window.TimeZone) // the config room refuses any other
	c = api.Config{Listen: cfg.API.Listen, Window: cfg.Window.Size, Zone: zone, Connections: cfg.API.MaxConnections, Origins: cfg.API.CORS.Origins}
	if f := cfg.API.TLS; f.CertFile != "" {
		warn := func(text string) { logger.Warn("api.tls: " + text) }
		c.TLS, err = secure.ServerTLS(secure.ServerFiles{Cert: f.CertFile, Key: f.KeyFile, ClientCA: f.ClientCAFile}, warn)
		if err != nil {
			return c, usage(fmt.Errorf("api.%w", err))
		}
	}
	if c.Access, err = whoMayAsk(cfg.API, logger); err != nil {
		return c, usage(fmt.Errorf("api.tokens: %w", err))
	}
	return c, nil
}

// whoMayAsk reads the tokens there are, and those of the file as often as it changes.
func whoMayAsk(c config.API, logger *zap.Logger) (access.Config, error) {
	a := access.Config{Rate: float64(c.Rate), Burst: c.Burst}
	var files []string
	if c.TokensFile != "" {
		files = []string{c.TokensFile}
	}
	if len(c.Tokens)+len(files) == 0 {
		return a, nil
	}
	read := func() (*access.Grants, error) {
		tokens := slices.Clone(c.Tokens)
		for _, f := range files {
			more, err := config.ReadTokens(f)
			if err != nil {
				return nil, err
			}
			tokens = append(tokens, more...)
		}
		grants := make([]access.Grant, len(tokens))
		for i, t := range tokens {
			grants[i] = access.Grant(t)
		}
		return a.NewGrants(grants)
	}
	failed := func(err error) { logger.Warn("api.tokens_file is not taken; who was known still is", zap.Error(err)) }
	known, err := reread.New(read, failed, time.Now, files...)
	if err != nil {
		return a, err
	}
	a.Grants = known.Get
	return a, nil
}

// apiClient makes a client of the API that the configuration names.
func apiClient(cfg config.Config) (*client.Client, error) {
	to, err := client.New(apiURL(cfg))
	if err != nil {
		return nil, usage(err)
	}
	c := cfg.API.Client
	tls, warnings, err := secure.ClientTLS(secure.Files{CA: c.CAFile, Cert: c.CertFile, Key: c.KeyFile, ServerName: c.ServerName}, time.Now())
	if err != nil {
		return nil, usage(fmt.Errorf("api.client: %w", err))
	}
	for _, w := range warnings {
		fmt.Fprintln(os.Stderr, "clickagg: api.client:", w)
	}
	return to.As(c.Token.Reveal(), tls), nil
}

func apiURL(cfg config.Config) string {
	if cfg.API.URL != "" {
		return cfg.API.URL
	}
	scheme, listen := "http://", cfg.API.Listen
	if cfg.API.TLS.CertFile != "" {
		scheme = "https://"
	}
	for _, anywhere := range []string{"", "0.0.0.0", "[::]"} {
		if port, ok := strings.CutPrefix(listen, anywhere+":"); ok {
			listen = "localhost:" + port
		}
	}
	return scheme + listen
}

// insecureFlag is short for api.insecure.
func insecureFlag(c *cobra.Command) {
	for k := range config.Keys() {
		if k.Path == "api.insecure" {
			c.Flags().Var(&keyFlag{key: k, text: k.Default}, "insecure", "short for --api.insecure true")
			c.Flags().Lookup("insecure").NoOptDefVal = "true"
		}
	}
}

func tokenCommand() *cobra.Command {
	c := &cobra.Command{
		Use:     "token",
		Short:   "Make a token for somebody who may ask the API",
		Example: "  clickagg token new --name dashboard",
		Args:    noArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	var g access.Grant
	made := &cobra.Command{
		Use:   "new",
		Short: "Make a token, and print it with the entry of its hash",
		Long: "Print a new token to standard output, once: nothing keeps it. The entry for api.tokens, or for the file of api.tokens_file, goes\n" +
			"to standard error: it has the token's hash, from which nobody can find the token.",
		Example: "  clickagg token new --name dashboard\n  clickagg token new --name acme --ads 'acme-*,shoes-42' >acme.token 2>>tokens.yaml",
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			token := access.NewToken()
			g.Hash = access.Hash(token)
			if err := g.Check(); err != nil {
				return usage(fmt.Errorf("token new: %w", err))
			}
			if _, err := c.ErrOrStderr().Write(config.TokenEntry(config.Token(g))); err != nil {
				return err
			}
			_, err := fmt.Fprintln(c.OutOrStdout(), token)
			return err
		},
	}
	made.Flags().StringVar(&g.Name, "name", "", "who will have it, as the log shall say")
	made.Flags().StringVar(&g.Scope, "scope", access.Read, "read asks for counts; admin also takes all counts out")
	made.Flags().StringSliceVar(&g.Ads, "ads", nil, "the ads it may see: ids, or beginnings of ids with a * after them (default all)")
	c.AddCommand(made)
	return c
}

"""The platform's command line and its embedded servers."""

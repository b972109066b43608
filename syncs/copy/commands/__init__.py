"""What the subcommands of `opssight copy` do; the command itself is in `syncs.copy.management`."""

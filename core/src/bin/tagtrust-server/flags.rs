//! The command line: options as Go's flag package takes them, which is what
//! notary-server has, and commands.

use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use super::logger::Format;

pub(crate) const USAGE: &str = "\
usage: tagtrust-server -config=FILE [-logf=json|logfmt] [-debug]
       tagtrust-server COMMAND -config=FILE ...

Without a command: serves what notary-server's configuration file says.

  check               verify every repository as a client does
  backup FILE         write a copy of an SQLite storage, also while the server runs
  prune [-keep=N]     remove old versions, all but the newest N of each role
  passphrase ALIAS    encrypt the server's keys with the passphrase ALIAS
  takeover -from=SOURCE [-signer=SOURCE] [-dry-run]
                      take over the databases of notary-server and notary-signer;
                      SOURCE is their configuration file, or the db_url in it

  -config=FILE        configuration file
  -logf=FORMAT        json (default) or logfmt
  -debug              log everything
  -bootstrap          make the tables of the storage, and stop
  -version            print the version
  -h, -help           print this
";

/// What is to be done, and with what.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Flags {
    pub(crate) config: Option<PathBuf>,
    pub(crate) log_format: Format,
    pub(crate) debug: bool,
    pub(crate) command: Command,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Serve,
    Help,
    Version,
    Bootstrap,
    Check,
    Backup { file: PathBuf },
    Prune { keep: Option<NonZeroUsize> },
    Passphrase { alias: String },
    Takeover { from: String, signer: Option<String>, dry_run: bool },
}

/// An option as it was given. Of one that was given twice the last counts.
#[derive(Default)]
struct Given {
    config: Option<PathBuf>,
    log_format: Format,
    debug: bool,
    bootstrap: bool,
    version: bool,
    help: bool,
    from: Option<String>,
    signer: Option<String>,
    dry_run: bool,
    keep: Option<NonZeroUsize>,
    words: Vec<String>,
}

impl Flags {
    pub(crate) fn parse(arguments: impl Iterator<Item = OsString>) -> Result<Self, String> {
        let given = Given::read(arguments)?;
        let command = given.command()?;
        if !matches!(command, Command::Takeover { .. })
            && (given.from.is_some() || given.signer.is_some() || given.dry_run)
        {
            return Err("-from, -signer and -dry-run are for takeover".into());
        }
        if !matches!(command, Command::Prune { .. }) && given.keep.is_some() {
            return Err("-keep is for prune".into());
        }
        Ok(Self { config: given.config, log_format: given.log_format, debug: given.debug, command })
    }
}

impl Given {
    fn read(arguments: impl Iterator<Item = OsString>) -> Result<Self, String> {
        let mut given = Self::default();
        let mut arguments = arguments.map(|argument| {
            argument.into_string().map_err(|argument| format!("{} is not UTF-8", argument.display()))
        });
        while let Some(argument) = arguments.next() {
            let argument = argument?;
            let Some(option) = argument.strip_prefix('-').filter(|option| !option.is_empty()) else {
                given.words.push(argument);
                continue;
            };
            let option = option.strip_prefix('-').unwrap_or(option);
            if option.is_empty() {
                given.words.extend(arguments.collect::<Result<Vec<_>, _>>()?);
                break;
            }
            let (name, value) = match option.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (option, None),
            };
            if let Some(switch) = given.switch(name) {
                *switch = match value.as_deref() {
                    None | Some("1" | "t" | "T" | "true" | "TRUE" | "True") => true,
                    Some("0" | "f" | "F" | "false" | "FALSE" | "False") => false,
                    Some(value) => return Err(format!("invalid boolean value {value:?} for -{name}")),
                };
                continue;
            }
            let value = |rest: &mut dyn Iterator<Item = Result<String, String>>| match value {
                Some(value) => Ok(value),
                None => rest.next().unwrap_or_else(|| Err(format!("flag needs an argument: -{name}"))),
            };
            match name {
                "config" => given.config = Some(value(&mut arguments)?.into()),
                "logf" => given.log_format = value(&mut arguments)?.parse()?,
                "from" => given.from = Some(value(&mut arguments)?),
                "signer" => given.signer = Some(value(&mut arguments)?),
                "keep" => {
                    let value = value(&mut arguments)?;
                    let keep = value
                        .parse()
                        .map_err(|error| format!("invalid value {value:?} for -keep: {error}"))?;
                    given.keep = Some(keep);
                }
                _ => return Err(format!("flag provided but not defined: -{name}")),
            }
        }
        Ok(given)
    }

    fn switch(&mut self, name: &str) -> Option<&mut bool> {
        match name {
            "debug" => Some(&mut self.debug),
            "bootstrap" => Some(&mut self.bootstrap),
            "version" => Some(&mut self.version),
            "h" | "help" => Some(&mut self.help),
            "dry-run" => Some(&mut self.dry_run),
            _ => None,
        }
    }

    fn command(&self) -> Result<Command, String> {
        let words: Vec<_> = self.words.iter().map(String::as_str).collect();
        Ok(match words.as_slice() {
            _ if self.help => Command::Help,
            _ if self.version => Command::Version,
            [] if self.bootstrap => Command::Bootstrap,
            [] => Command::Serve,
            ["check"] => Command::Check,
            ["backup", file] => Command::Backup { file: file.into() },
            ["backup", ..] => return Err("backup needs the file to write".into()),
            ["prune"] => Command::Prune { keep: self.keep },
            ["passphrase", alias] => Command::Passphrase { alias: (*alias).to_owned() },
            ["passphrase", ..] => return Err("passphrase needs an alias".into()),
            ["takeover"] => Command::Takeover {
                from: self.from.clone().ok_or("takeover needs -from=SOURCE")?,
                signer: self.signer.clone(),
                dry_run: self.dry_run,
            },
            [word, ..] => return Err(format!("unknown command {word:?}, or too many arguments")),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Flags, String> {
        Flags::parse(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn notary_servers_options_are_taken_in_every_spelling_of_go() {
        let expected = |log_format, debug| Flags {
            config: Some("a.json".into()),
            log_format,
            debug,
            command: Command::Serve,
        };
        for line in ["-config=a.json", "--config=a.json", "-config a.json", "--config a.json -logf=json"] {
            assert_eq!(parse(line), Ok(expected(Format::Json, false)), "{line}");
        }
        for line in ["-config=a.json -debug -logf logfmt", "--logf=logfmt --debug=true -config a.json"] {
            assert_eq!(parse(line), Ok(expected(Format::Logfmt, true)), "{line}");
        }
        assert_eq!(parse("-debug=false -config=a.json"), Ok(expected(Format::Json, false)));
        assert_eq!(parse("-version").unwrap().command, Command::Version);
        assert_eq!(parse("-h").unwrap().command, Command::Help);
        assert_eq!(parse("-bootstrap -config=x").unwrap().command, Command::Bootstrap);
    }

    #[test]
    fn commands_and_options_come_in_any_order() {
        let takeover = Command::Takeover { from: "a".into(), signer: Some("b".into()), dry_run: true };
        for line in
            ["takeover -from=a -signer b -dry-run -config=c", "-config c -dry-run -signer=b -from=a takeover"]
        {
            assert_eq!(parse(line).unwrap().command, takeover, "{line}");
        }
        let keep = NonZeroUsize::new(3);
        assert_eq!(parse("prune -keep=3").unwrap().command, Command::Prune { keep });
        assert_eq!(parse("backup x.db").unwrap().command, Command::Backup { file: "x.db".into() });
        let command = parse("passphrase -- -odd").unwrap().command;
        assert_eq!(command, Command::Passphrase { alias: "-odd".into() });
    }

    #[test]
    fn what_is_not_known_is_refused() {
        for (line, said) in [
            ("-conf=a", "flag provided but not defined: -conf"),
            ("-config", "flag needs an argument: -config"),
            ("-logf=xml", "xml"),
            ("-debug=maybe", "invalid boolean value"),
            ("serve", "unknown command"),
            ("check now", "unknown command"),
            ("backup", "needs the file"),
            ("takeover", "-from"),
            ("check -from=x", "for takeover"),
            ("-dry-run", "for takeover"),
            ("-keep=1", "for prune"),
            ("prune -keep=-1", "invalid value"),
            ("prune -keep=0", "invalid value"),
        ] {
            let fault = parse(line).unwrap_err();
            assert!(fault.contains(said), "{line}: {fault}");
        }
    }
}

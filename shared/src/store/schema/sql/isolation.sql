-- Whatever the database's own default is.
SET TRANSACTION ISOLATION LEVEL READ COMMITTED, READ WRITE

-- A wiki's tables for joins with events: page, user, actor and revision with the names and types that
-- MediaWiki has had since 1.35 (in 1.31 to 1.34 revision has some columns more), and a few rows.
--
--     mysql -h HOST -P PORT -u el -e 'CREATE DATABASE enwiki'
--     mysql -h HOST -P PORT -u el enwiki < examples/mediawiki.sql
--
-- Texts are UTF-8 in binary columns, and times are YYYYMMDDHHMMSS in binary(14).

CREATE TABLE page (
    page_id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    page_namespace INT NOT NULL,
    page_title VARBINARY(255) NOT NULL,
    page_is_redirect TINYINT UNSIGNED NOT NULL DEFAULT 0,
    page_is_new TINYINT UNSIGNED NOT NULL DEFAULT 0,
    page_random DOUBLE UNSIGNED NOT NULL,
    page_touched BINARY(14) NOT NULL,
    page_links_updated VARBINARY(14),
    page_latest INT UNSIGNED NOT NULL,
    page_len INT UNSIGNED NOT NULL,
    page_content_model VARBINARY(32),
    page_lang VARBINARY(35),
    UNIQUE KEY (page_namespace, page_title)
) ENGINE=InnoDB DEFAULT CHARSET=binary;

CREATE TABLE user (
    user_id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    user_name VARBINARY(255) NOT NULL DEFAULT '',
    user_real_name VARBINARY(255) NOT NULL DEFAULT '',
    user_password TINYBLOB NOT NULL,
    user_newpassword TINYBLOB NOT NULL,
    user_newpass_time BINARY(14),
    user_email TINYBLOB NOT NULL,
    user_touched BINARY(14) NOT NULL,
    user_token BINARY(32) NOT NULL DEFAULT '',
    user_email_authenticated BINARY(14),
    user_email_token BINARY(32),
    user_email_token_expires BINARY(14),
    user_registration BINARY(14),
    user_editcount INT,
    user_password_expires VARBINARY(14),
    UNIQUE KEY (user_name)
) ENGINE=InnoDB DEFAULT CHARSET=binary;

CREATE TABLE actor (
    actor_id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    actor_user INT UNSIGNED,
    actor_name VARBINARY(255) NOT NULL,
    UNIQUE KEY (actor_user),
    UNIQUE KEY (actor_name)
) ENGINE=InnoDB DEFAULT CHARSET=binary;

CREATE TABLE revision (
    rev_id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    rev_page INT UNSIGNED NOT NULL,
    rev_comment_id BIGINT UNSIGNED NOT NULL DEFAULT 0,
    rev_actor BIGINT UNSIGNED NOT NULL DEFAULT 0,
    rev_timestamp BINARY(14) NOT NULL,
    rev_minor_edit TINYINT UNSIGNED NOT NULL DEFAULT 0,
    rev_deleted TINYINT UNSIGNED NOT NULL DEFAULT 0,
    rev_len INT UNSIGNED,
    rev_parent_id INT UNSIGNED,
    rev_sha1 VARBINARY(32) NOT NULL DEFAULT '',
    KEY (rev_page, rev_timestamp),
    KEY (rev_actor, rev_timestamp)
) ENGINE=InnoDB DEFAULT CHARSET=binary;

INSERT INTO page
    (page_id, page_namespace, page_title, page_is_redirect, page_random, page_touched, page_latest, page_len)
VALUES
    (1, 0, 'Zürich', 0, 0.1, '20190310080000', 104, 900),
    (2, 0, 'Zurich', 1, 0.2, '20190301000000', 101, 20),
    (3, 0, 'Main_Page', 0, 0.3, '20190301000000', 102, 500),
    (4, 2, 'O''Brien', 0, 0.4, '20190310080000', 105, 30),
    (5, 0, '東京都', 0, 0.5, '20190301000000', 103, 700);

INSERT INTO user
    (user_id, user_name, user_password, user_newpassword, user_email, user_touched, user_registration,
     user_editcount)
VALUES
    (11, 'O''Brien', '', '', '', '20190310080000', '20190310070000', 2),
    (12, '☆ Stern', '', '', '', '20190301000000', '20150101000000', 3),
    (13, 'o''brien', '', '', '', '20190310070500', '20190310070500', 0),
    (14, 'New name', '', '', '', '20190310071000', '20190310071000', 0);

INSERT INTO actor (actor_id, actor_user, actor_name) VALUES
    (21, 11, 'O''Brien'), (22, 12, '☆ Stern'), (23, NULL, '203.0.113.9'), (24, 14, 'New name');

INSERT INTO revision (rev_id, rev_page, rev_actor, rev_timestamp, rev_len, rev_parent_id) VALUES
    (101, 2, 22, '20180101000000', 20, 0),
    (102, 3, 22, '20190201000000', 500, 0),
    (103, 5, 23, '20190301000000', 700, 0),
    (100, 1, 22, '20190305000000', 800, 0),
    (104, 1, 21, '20190310073000', 900, 100),
    (105, 4, 21, '20190311080000', 30, 0);
